"""What earlier releases stored is read, folded and continued by today's code, on every database."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import saga_celery
from saga_celery.core.events import FACTS
from saga_celery.core.evolve import evolve
from saga_celery.core.plan import Plan
from saga_celery.core.states import SagaState
from saga_celery.store.codec import fact_from_json, fact_to_json, loads
from saga_celery.store.migrate import migrate
from saga_celery.store.version import check
from tests.golden import generate, sagas
from tests.golden.histories import FOLDER, Golden, goldens, load, read, rows_of, write
from tests.golden.stories import STORIES
from tests.golden.world import World

ALL = list(goldens())
_SAGAS = (sagas.OrderSaga, sagas.TripSaga, sagas.BasketSaga, sagas.RentalSaga, sagas.DepositSaga)


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes that the stories are about, whatever other tests define."""
    from saga_celery.definition import registry

    known = {saga.name: saga for saga in _SAGAS}
    monkeypatch.setattr(registry, "_sagas", known)


@pytest.fixture
def world_of(database_url: str) -> Iterator[Callable[[Golden], World]]:
    """A fresh database that holds a golden history, at the time at which that was stored."""
    made: list[World] = []

    def world_of(golden: Golden) -> World:
        made.append(World(database_url, golden.saga_id, golden.now))
        load(golden, made[-1].store)
        return made[-1]

    yield world_of
    for world in made:
        world.store.dispose()


@pytest.mark.parametrize("golden", ALL, ids=lambda golden: f"{golden.release}-{golden.name}")
def test_it_is_read_folded_and_continued_to_its_end(golden, world_of):
    world = world_of(golden)
    check(world.store.connections)
    assert world.state.status is golden.stored
    assert without_what_was_not_kept(folded(world)) == without_what_was_not_kept(world.state)

    if golden.ask is not None:
        world.take(golden.ask)
    ended = world.go_on()
    assert ended.status is golden.ends, ended
    assert ended.letters == ()
    assert without_what_was_not_kept(folded(world)) == without_what_was_not_kept(ended)
    assert world.store.queries.snapshot(golden.saga_id).awaited == ()


def without_what_was_not_kept(state: SagaState) -> SagaState:
    """Rows of before revision 0007 do not tell which attempts have been heard of, though their history does."""
    steps = {place: replace(step, action=replace(step.action, heard=())) for place, step in state.steps.items()}
    return replace(state, steps=steps)


def folded(world: World) -> SagaState:
    """The state that the history alone tells of."""
    found = world.state
    state = SagaState(id=found.id, name=found.name, plan_hash=found.plan_hash, input=found.input, headers=found.headers)
    for entry in world.store.queries.history(world.saga_id):
        for fact in entry.facts:
            state = evolve(state, fact)
        state = replace(state, version=entry.version)
    return state


@pytest.mark.parametrize("golden", ALL, ids=lambda golden: f"{golden.release}-{golden.name}")
def test_its_plan_has_the_same_hash_today(golden):
    for row in golden.tables["saga_plan"]:
        assert Plan.from_json(row["body"]).hash == row["hash"]


def test_every_fact_keeps_all_that_was_stored_of_it():
    """A field that today's code drops would be lost from the histories that it shows."""
    for golden in ALL:
        for row in golden.tables.get("saga_history", ()):
            for stored in loads(row["facts"]):
                fact = fact_from_json(stored)
                assert keeps(stored, {"fact": type(fact).__name__, **asdict(fact)}), (golden.name, stored)
                assert fact_from_json(fact_to_json(fact)) == fact


def keeps(stored, again):
    """Whether all that was stored is there still; later releases may say more."""
    if isinstance(stored, dict):
        return isinstance(again, dict) and all(name in again and keeps(stored[name], again[name]) for name in stored)
    if isinstance(stored, list):
        return len(stored) == len(again) and all(map(keeps, stored, again))
    return stored == again


def test_a_finished_release_has_goldens_of_every_kind_of_fact():
    assert generate.release() in {golden.release for golden in ALL}
    told = {
        fact["fact"] for golden in ALL for row in golden.tables.get("saga_history", ()) for fact in loads(row["facts"])
    }
    assert told <= set(FACTS), "what a release stored is read for ever"
    missing = sorted(set(FACTS) - told)
    if missing and "dev" in saga_celery.__version__:
        pytest.skip(f"no golden yet of {', '.join(missing)}; run python -m tests.golden.generate before the release")
    assert not missing


# ------------------------------------------------------------------------------------------------------ the generator


def test_the_generator_writes_what_the_reader_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.golden.histories.FOLDER", tmp_path)
    golden, kinds = generate.told(STORIES["half_way_back"], f"sqlite:///{tmp_path / 'saga.db'}")
    assert "SagaCompensating" in kinds
    again = read(write(golden))
    assert again == replace(golden, tables={name: rows for name, rows in golden.tables.items() if rows})


def test_a_story_tells_the_same_each_time(tmp_path: Path):
    first, _ = generate.told(STORIES["class_missing"], f"sqlite:///{tmp_path / 'a.db'}")
    second, _ = generate.told(STORIES["class_missing"], f"sqlite:///{tmp_path / 'b.db'}")
    assert first == second


def test_it_refuses_while_a_kind_of_fact_is_told_by_no_story(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(generate, "STORIES", {"pending": STORIES["pending"]})
    before = sorted(FOLDER.glob("*/*.json"))
    assert generate.main() == 1
    assert "no story tells of ActivityRendered, " in capsys.readouterr().err
    assert sorted(FOLDER.glob("*/*.json")) == before


def test_rows_come_back_as_they_were(world_of):
    golden = next(each for each in ALL if each.name == "took_effect_after_the_end")
    world = world_of(golden)
    migrate(world.store.connections)
    found = rows_of(world.store)
    for name, rows in golden.tables.items():
        for row, was in zip(found[name], rows, strict=True):
            assert was.items() <= row.items(), name
