"""Whoever was overtaken reads what the others did, and has the state that a reading of the whole saga gives."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from saga_celery.core import events as e
from saga_celery.core.machine import decide
from saga_celery.core.states import Failure, Message, Policy, SagaStatus, Slot, StepStatus
from saga_celery.engine.ports import Change
from saga_celery.store.catching_up import MOST_BEHIND
from saga_celery.store.schema import saga_history
from tests.core.stories import linear
from tests.store.examples import new
from tests.store.test_starts import rivals

GRAPH = linear("reserve", "charge", "ship")
ANSWERS = {"result": {"shelf": [1, "ß"], "empty": None}}


def told(store, news, state=None):
    """Let the machine decide, and store it; the state before may be one that is out of date."""
    before = state or store.load("s1")
    decision = decide(store.plan(before.plan_hash), before, news)
    change = Change(before=before, after=decision.state, facts=decision.facts, awaited=(), settled=())
    return store.save(change)


def renders(state):
    waiting = next(step for step in state.steps.values() if step.status is StepStatus.SCHEDULED)
    slot = Slot(waiting.name)
    return e.Rendered(slot=slot, message=Message(task=f"{waiting.name}.run", args=(1, [2])), policy=Policy())


@pytest.fixture
def overtaken(store, another):
    """A store that knows an old state of a saga, and one that has moved it on."""
    other = another()
    other.start([new("s1", plan=GRAPH)], nudge_after=1.0)
    assert store.load("s1") is not None
    return store, other


def moved_on(other):
    assert told(other, e.Nudged())
    assert told(other, renders(other.load("s1")))
    assert told(other, e.AttemptSucceeded(slot=Slot("reserve"), attempt=1, **ANSWERS))


def test_it_is_what_a_reading_of_the_whole_gives(overtaken):
    store, other = overtaken
    moved_on(other)
    assert store.catch_up("s1") == other.load("s1")
    assert store.load("s1", fresh=False) == other.load("s1")


def test_only_what_came_since_is_read(overtaken):
    store, other = overtaken
    moved_on(other)
    store._transitions.load = None  # whoever reads the whole calls it
    assert store.catch_up("s1") == other.load("s1")


def test_where_nothing_came_it_is_the_known_state(overtaken):
    store, _ = overtaken
    known = store.load("s1", fresh=False)
    assert store.catch_up("s1") == known


def test_who_is_told_of_a_later_version_keeps_up(overtaken):
    store, other = overtaken
    known = store.load("s1").version
    moved_on(other)
    store.keep_up("s1", known)
    assert store.load("s1", fresh=False).version == known
    store.keep_up("s1", known + 1)
    assert store.load("s1", fresh=False) == other.load("s1")


def test_what_has_ended_is_not_kept(overtaken):
    store, other = overtaken
    assert told(other, e.OperatorAsked(verb=e.Verb.CANCEL, reason="no need", actor="ann"))
    assert store.catch_up("s1").status is SagaStatus.COMPENSATED
    assert store._recent.get("s1") is None


def test_nothing_known_is_read_as_a_whole(another, overtaken):
    _, other = overtaken
    moved_on(other)
    assert another().catch_up("s1") == other.load("s1")
    assert another().catch_up("nobody") is None


@pytest.mark.parametrize(
    "mishap",
    [
        sa.delete(saga_history).where(saga_history.c.version == 2),
        sa.update(saga_history).where(saga_history.c.version == 2).values(facts='[{"fact": "OfALaterRelease"}]'),
    ],
    ids=["history is gone", "a later release wrote it"],
)
def test_a_history_that_does_not_tell_all_is_not_leaned_on(overtaken, mishap):
    store, other = overtaken
    moved_on(other)
    with other.connections.transaction() as connection:
        connection.execute(mishap)
    assert store.catch_up("s1") == other.load("s1")


def test_a_database_that_was_set_back_is_read_as_a_whole(overtaken):
    store, other = overtaken
    ahead = replace(store.load("s1"), version=7)
    store._recent.learn(ahead)
    assert store.catch_up("s1") == other.load("s1")


def test_whoever_is_far_behind_reads_the_whole(overtaken):
    store, other = overtaken
    told(other, e.Nudged())
    told(other, renders(other.load("s1")))
    for number in range(MOST_BEHIND):
        late = e.AttemptFailed(slot=Slot("reserve"), attempt=9, failure=Failure(type="Late", message=str(number)))
        assert told(other, late)
    assert store.catch_up("s1") == other.load("s1")


def test_rivals_that_catch_up_lose_nothing(another, store):
    store.start([new("s1", plan=GRAPH)], nudge_after=1.0)

    def notes(one, number):
        late = e.EventSent(wait="nobody", event_id=f"{number}")
        state = one.load("s1", fresh=False)
        while not told(one, late, state):
            state = one.catch_up("s1")
        return True

    assert all(rivals(another, 12, notes))
    assert len(store.queries.history("s1")) == 12
