"""What people ask, answered from the tables."""

from datetime import UTC, timedelta

import pytest

from saga_celery.core import events as e
from saga_celery.core.states import SagaStatus, StepState, StepStatus
from saga_celery.errors import SagaNotFound
from saga_celery.store import id_sets, queries
from saga_celery.store.clock import DatabaseClock
from saga_celery.store.tallies import Tally
from tests.store.examples import due, letter, moved, new, started


def ids(rows):
    return [row.id for row in rows]


@pytest.fixture
def five(store, clock):
    """Five sagas, a second apart; the last is the newest."""
    for number in range(5):
        name = "travel.trip" if number == 2 else "shop.order"
        store.start([new(f"s{number}", name=name, tags={"parity": str(number % 2)})], nudge_after=1000.0)
        clock.turn(1)


def test_the_newest_come_first_page_by_page(store, five):
    first = store.queries.find(limit=2)
    second = store.queries.find(limit=2, after=first[-1])
    third = store.queries.find(limit=2, after=second[-1])
    assert [*ids(first), *ids(second), *ids(third)] == ["s4", "s3", "s2", "s1", "s0"]


def test_pages_part_sagas_of_the_same_moment(store):
    store.start([new(f"s{number}") for number in range(4)], nudge_after=1.0)
    first = store.queries.find(limit=3)
    assert [*ids(first), *ids(store.queries.find(limit=3, after=first[-1]))] == ["s3", "s2", "s1", "s0"]


def test_sagas_are_found_by_what_they_are(store, clock, five):
    moved(store, store.load("s3"), status=SagaStatus.RUNNING)
    assert ids(store.queries.find(name="travel.trip")) == ["s2"]
    assert ids(store.queries.find(status=SagaStatus.RUNNING)) == ["s3"]
    assert ids(store.queries.find(tags={"parity": "1"})) == ["s3", "s1"]
    assert ids(store.queries.find(since=clock.time - timedelta(seconds=2))) == ["s4", "s3"]
    assert ids(store.queries.find(name="shop.order", tags={"parity": "0"}, status=SagaStatus.PENDING)) == ["s4", "s0"]


def test_sagas_are_found_by_when_they_started(store, clock, five):
    first, last = clock.time - timedelta(seconds=4), clock.time - timedelta(seconds=2)
    assert ids(store.queries.find(until=last)) == ["s3", "s2", "s1", "s0"]
    assert ids(store.queries.find(since=first, until=last)) == ["s3", "s2", "s1"]
    assert store.queries.tally(10, since=first, until=last).count == 3


def test_a_tally_ends_at_its_bound(store, five):
    assert store.queries.tally(4) == Tally(count=4, more=True)
    assert store.queries.tally(5) == Tally(count=5)
    assert store.queries.tally(5, tags={"parity": "0"}) == Tally(count=3)


def every_page(queries, limit, **wanted):
    """The ids of each page, up to the last one."""
    pages, page = [], queries.page(limit, **wanted)
    while page.end is not None:
        pages.append(ids(page.sagas))
        page = queries.page(limit, after=page.end, **wanted)
    return [*pages, ids(page.sagas)]


def test_pages_follow_each_other_to_the_end(store, five):
    assert every_page(store.queries, 2) == [["s4", "s3"], ["s2", "s1"], ["s0"]]
    assert every_page(store.queries, 2, tags={"parity": "1"}) == [["s3", "s1"]]
    assert every_page(store.queries, 1, tags={"parity": "1"}) == [["s3"], ["s1"]]
    assert every_page(store.queries, 2, ids=["s0", "s4", "nobody"]) == [["s4", "s0"]]


def test_among_the_many_of_a_common_tag_each_page_looks_at_no_more_than_some(store, five, monkeypatch):
    monkeypatch.setattr(id_sets, "FEW", 1)
    monkeypatch.setattr(queries, "FEW", 1)
    monkeypatch.setattr(queries, "MOST_LOOKED_AT", 2)
    assert every_page(store.queries, 2, tags={"parity": "1"}) == [["s3"], ["s1"], []]
    assert every_page(store.queries, 2, tags={"parity": "0"}, name="shop.order") == [["s4"], ["s0"], []]
    assert every_page(store.queries, 1, tags={"parity": "0"}) == [["s4"], ["s2"], ["s0"]]
    assert ids(store.queries.find(tags={"parity": "1"})) == ["s3", "s1"]
    moved(store, store.load("s0"), status=SagaStatus.FAILED, letters=(letter(),))
    assert every_page(store.queries, 2, stuck=True) == [[], [], ["s0"]]


def test_a_text_means_an_id_its_beginning_or_a_key(store):
    store.start([new(each) for each in ("0190-aa", "0190-ab", "0191-aa", "s_", "sx")], nudge_after=1.0)
    store.start([new("k1", key="0190"), new("k2", key="K"), new("k3", key="k", name="travel.trip")], nudge_after=1.0)
    both = ["shop.order", "travel.trip"]

    def meant(text, names=both):
        return sorted(store.queries.meant_by(text, names))

    assert meant("0190") == ["0190-aa", "0190-ab", "k1"]
    assert meant("0190-A") == ["0190-aa", "0190-ab"]
    assert meant("s_") == ["s_"]
    assert meant("k") == ["k3"]
    assert meant("k", ["shop.order"]) == meant("019") == meant("nobody") == []
    assert store.queries.meant_by("0190-", both, limit=1) == ["0190-ab"]


def test_the_tags_of_several_sagas(store, five):
    assert store.queries.tags(["s1", "s2", "nobody"]) == {"s1": {"parity": "1"}, "s2": {"parity": "0"}}
    assert store.queries.tags([]) == {}


def test_what_is_awaited_in_vain_is_told_of_several_sagas(store, clock, five):
    moved(store, store.load("s1"), awaited=(due(seconds=10.0),))
    moved(store, store.load("s2"), awaited=(due(seconds=10.0),))
    clock.turn(75)
    found = store.queries.awaited_in_vain(["s0", "s1"])
    assert {saga_id: [wait.slot.step for wait in waits] for saga_id, waits in found.items()} == {"s1": ["charge"]}
    assert store.queries.awaited_in_vain([]) == {}


def test_every_tag_has_to_fit(store):
    store.start([new("s1", tags={"customer": "7", "shop": "1"}), new("s2", tags={"customer": "7"})], nudge_after=1.0)
    assert ids(store.queries.find(tags={"customer": "7"})) == ["s2", "s1"]
    assert ids(store.queries.find(tags={"customer": "7", "shop": "1"})) == ["s1"]
    assert store.queries.find(tags={"customer": "7", "shop": "2"}) == []
    assert ids(store.queries.find(tags={})) == ["s2", "s1"]


def test_a_key_finds_all_that_were_ever_started_with_it(store):
    moved(store, started(store, "s1", key="k"), status=SagaStatus.COMPENSATED)
    store.start([new("s2", key="k")], if_exists="new_if_ended", nudge_after=1.0)
    store.start([new("s3", key="k", name="travel.trip"), new("s4", key="K"), new("s5")], nudge_after=1.0)
    assert ids(store.queries.find(key="k")) == ["s3", "s2", "s1"]
    assert ids(store.queries.find(key="k", name="shop.order", status=SagaStatus.PENDING)) == ["s2"]
    assert store.queries.find(key="nobody's") == []


def test_a_key_has_an_owner_for_each_name(store):
    moved(store, started(store, "s1", key="k"), status=SagaStatus.COMPENSATED)
    store.start([new("s2", key="k")], if_exists="new_if_ended", nudge_after=1.0)
    store.start([new("s3", key="k", name="travel.trip"), new("s4", key="K"), new("s5")], nudge_after=1.0)
    assert [(owner.name, owner.id) for owner in store.queries.owners("k")] == [
        ("shop.order", "s2"),
        ("travel.trip", "s3"),
    ]
    assert store.queries.owners("nobody's") == []


def test_dead_letters_of_a_name_the_oldest_first(store, clock, five):
    for saga_id in ("s3", "s2", "s1"):
        moved(store, store.load(saga_id), status=SagaStatus.FAILED, letters=(letter(),))
        clock.turn(1)

    def found(**wanted):
        return [each.saga_id for each in store.queries.dead_letters(**wanted)]

    assert found() == ["s3", "s2", "s1"]
    assert found(name="shop.order") == ["s3", "s1"]
    assert found(name="shop.order", limit=1) == ["s3"]
    assert found(name="nobody's") == []


def test_a_stuck_saga_is_parked_has_a_letter_or_waits_for_too_long(store, clock, five):
    moved(store, store.load("s0"), status=SagaStatus.FAILED)
    moved(store, store.load("s1"), status=SagaStatus.COMPENSATED, letters=(letter(),))
    moved(store, store.load("s2"), awaited=(due(seconds=10.0),))
    clock.turn(69)
    assert ids(store.queries.find(stuck=True)) == ["s1", "s0"]
    clock.turn(2)
    assert ids(store.queries.find(stuck=True)) == ["s2", "s1", "s0"]
    assert store.queries.oldest_overdue() == pytest.approx(61.0, abs=0.01)


def test_a_snapshot_shows_all_of_a_saga(store, clock):
    state = started(store, key="k", tags={"order": "7"})
    step = StepState(name="charge", status=StepStatus.DISPATCHED)
    state = moved(store, state, steps={("charge", 0): step}, awaited=(due(attempt=1, worker="w"),))
    seen = store.queries.snapshot("s1")
    assert seen.state == state
    assert (seen.saga.key, seen.saga.version, seen.saga.status) == ("k", 1, SagaStatus.PENDING)
    assert [(wait.slot.step, wait.worker) for wait in seen.awaited] == [("", ""), ("charge", "w")]


def test_a_snapshot_of_nobody(store):
    with pytest.raises(SagaNotFound, match="'nobody'"):
        store.queries.snapshot("nobody")
    with pytest.raises(SagaNotFound, match="'k'"):
        store.queries.id_of("shop.order", "k")
    assert store.queries.history("nobody") == []


def test_a_snapshot_reads_what_others_stored(another, store):
    moved(store, started(store))
    moved(another(), store.load("s1"), [e.SagaStarted()], status=SagaStatus.RUNNING)
    assert store.queries.snapshot("s1").state.status is SagaStatus.RUNNING


def test_nothing_overdue_is_no_age(store):
    assert store.queries.oldest_overdue() == 0.0


def test_the_time_is_that_of_the_stores_clock(store, clock):
    assert store.queries.now() == clock.time
    clock.turn(5)
    assert store.queries.now() == clock.time


def test_the_databases_time_is_aware_and_moves_on(another):
    queries = another(clock=DatabaseClock()).queries
    first, second = queries.now(), queries.now()
    assert first <= second
    assert first.tzinfo is UTC


def test_what_the_database_is(store):
    name, _, version = store.queries.server().partition(" ")
    assert name in ("postgresql", "mysql", "mariadb", "sqlite")
    assert version[0].isdigit()
    assert store.queries.journal_mode() == ("wal" if store.connections.dialect == "sqlite" else None)
