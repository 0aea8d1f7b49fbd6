"""The persistent map of steps is a map, and finds by status what a search of the whole would find."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_celery.core.states import Activity, StepState, StepStatus
from saga_celery.core.steps import EVERY, OWING, WIDTH, Steps, marks

S = StepStatus

steps = st.builds(
    StepState,
    name=st.sampled_from("ab"),
    item=st.integers(0, 3 * WIDTH) | st.sampled_from([WIDTH**2, WIDTH**2 + 7, WIDTH**3 + 1]),
    status=st.sampled_from([S.QUEUED, S.DISPATCHED, S.SUCCEEDED, S.COMPENSATED]),
    items=st.sampled_from([None, 5]),
    compensation=st.sampled_from([None, Activity(void=True)]),
)


def put(found: Steps, *some: StepState) -> Steps:
    for each in some:
        found = found.put(each)
    return found


def is_unit(known: dict[tuple[str, int], StepState], step: StepState) -> bool:
    """Plain steps, and the items of what is no plain step."""
    own = known.get((step.name, 0))
    is_plain = own is not None and own.items is None
    return is_plain if step.item == 0 else not is_plain


@given(st.lists(steps, max_size=40))
def test_it_is_the_map_that_a_dict_is(some):
    known = {(step.name, step.item): step for step in some}
    found = put(Steps(), *some)
    assert found == known
    assert Steps(known) == found
    assert len(found) == len(known)
    assert set(found) == set(known)
    assert repr(found) == repr(dict(found))
    for name in "ab":
        items = [step.item for step in found.values() if step.name == name]
        assert items == sorted(items)
    assert {step.name for step in found.own()} == {name for name, item in known if item == 0}
    with pytest.raises(KeyError):
        found[("a", 3 * WIDTH + 1)]
    assert found.get(("c", 0)) is None


@given(st.lists(steps, max_size=40), st.sampled_from([S.QUEUED, S.SUCCEEDED, S.FAILED]), st.sampled_from([None, "a"]))
def test_it_finds_what_stands_in_a_status(some, status, of):
    known = {(step.name, step.item): step for step in some}
    found = put(Steps(), *some)
    wanted = [
        step for step in known.values() if step.status is status and is_unit(known, step) and of in (None, step.name)
    ]
    told = list(found.units(marks(status), of))
    assert sorted(step.item for step in told) == sorted(step.item for step in wanted)
    assert found.any(marks(status), of) is bool(wanted)
    assert list(found.units(marks(status), "a", backward=True)) == list(found.units(marks(status), "a"))[::-1]


def test_a_success_owes_its_compensation_until_that_is_rendered():
    step = StepState(name="a", status=S.SUCCEEDED)
    assert Steps().put(step).any(OWING)
    assert not Steps().put(replace(step, compensation=Activity(void=True))).any(OWING)
    assert not Steps().put(replace(step, status=S.COMPENSATED)).any(OWING)
    assert not Steps().any(EVERY, "b")


@given(st.lists(steps, max_size=30), st.lists(steps, max_size=10))
def test_it_tells_what_has_changed(before, after):
    known = put(Steps(), *before)
    now = put(known, *after)
    expected = {key for key, step in now.items() if known.get(key) != step}
    assert {(step.name, step.item) for step in now.changed_since(known)} == expected
    assert {(step.name, step.item) for step in now.changed_since(Steps(dict(known)))} == expected
    assert list(now.changed_since(now)) == []


def test_a_change_leaves_the_map_before_it_as_it_was():
    fan = StepState(name="a", status=S.FANNED_OUT, items=100)
    full = put(Steps(), fan, *(StepState(name="a", item=number, status=S.QUEUED) for number in range(1, 101)))
    changed = full.put(StepState(name="a", item=50, status=S.SUCCEEDED))
    assert full[("a", 50)].status is S.QUEUED
    assert [step.item for step in changed.changed_since(full)] == [50]
    assert [step.item for step in changed.units(marks(S.SUCCEEDED))] == [50]
