"""Values that are kept apart or sealed, on their way through a saga that is moved by the test's hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery
from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery import KeyConflict, PayloadMissing, Saga, SagaApp, SagaHandle, SagaStatus, SealBroken, step
from saga_celery.core import events as e
from saga_celery.core.states import Direction, SagaState, Slot
from saga_celery.definition import desk, registry
from saga_celery.engine.packed import SEALED, is_packed, reference_in
from saga_celery.errors import InputRejected, PayloadUnavailable, StoreUnavailable
from saga_celery.store.migrate import migrate
from saga_celery.store.schema import metadata, saga_payload
from tests.app.mirror import Mirror

INLINE = 1000
LARGE = {"lines": [f"line {number} of a large input" for number in range(200)]}
RESULT = {"pages": ["a page of a large result"] * 200}
SMALL = {"lines": ["tea"]}


def define() -> type[Saga[Any, Any]]:
    class ReportSaga(Saga[dict[str, Any], dict[str, Any]]):
        name = "town.report"

        @step(idempotent=True)
        def write(self, data: dict[str, Any]) -> Signature[dict[str, Any]]:
            return self.task("town.write", data, size=len(data["lines"]))

        @write.compensate
        def burn(self, data: dict[str, Any], write: dict[str, Any]) -> Signature[None]:
            return self.task("town.burn", write, data=data)

        @step(no_compensation="a message", idempotent=True)
        def post(self, data: dict[str, Any], write: dict[str, Any]) -> Signature[None]:
            return self.task("town.post", len(write["pages"]))

        def result(self, data: dict[str, Any], write: dict[str, Any]) -> dict[str, Any]:
            return write

    return ReportSaga


Office = Callable[..., SagaApp]
WRITE, POST = Slot("write"), Slot("post")


@pytest.fixture
def office(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """Makes apps on one database, as processes with other settings would be."""
    monkeypatch.setattr(registry, "_sagas", {})
    monkeypatch.setattr(desk, "_bound", [])
    define()
    made: list[SagaApp] = []

    def make(**settings: Any) -> SagaApp:
        app = Celery("office", broker="memory://", set_as_current=False)
        app.conf.update(saga_database_url=database_url, saga_payload_limit=10_000_000, saga_payload_inline=INLINE)
        app.conf.update({f"saga_{name}": value for name, value in settings.items()})
        made.append(SagaApp(app))
        if len(made) == 1:
            migrate(made[0].store.connections)
        return made[-1]

    yield make
    for sagas in made:
        sagas.dispose()


def report(**options: Any) -> SagaHandle[Any]:
    return registry.find("town.report").start(options.pop("data", LARGE), **options)


def tell(sagas: SagaApp, handle: SagaHandle[Any], *news: e.News, parks: bool = True) -> SagaState:
    for each in news:
        assert sagas.coordinator(parks_render_failures=parks).handle(handle.id, each) is not None
    state = sagas.store.load(handle.id)
    assert state is not None
    return state


def done(slot: Slot, result: Any = None) -> e.AttemptSucceeded:
    return e.AttemptSucceeded(slot=slot, attempt=1, result=result)


def everything(sagas: SagaApp) -> str:
    """All that is stored, as one text."""
    with sagas.store.connections.autocommit() as connection:
        rows = [tuple(row) for table in metadata.sorted_tables for row in connection.execute(sa.select(table))]
    return repr(rows)


def kept(sagas: SagaApp) -> list[tuple[str, str]]:
    with sagas.store.connections.autocommit() as connection:
        rows = connection.execute(sa.select(saga_payload.c.saga_id, saga_payload.c.digest)).all()
    return [(row.saga_id, row.digest) for row in rows]


# --------------------------------------------------------------------------------------------------------------- apart


def test_large_values_are_referred_to_and_opened_where_they_are_used(office: Office) -> None:
    sagas = office()
    handle = report(key="r-1")
    state = tell(sagas, handle, e.Nudged(), done(WRITE, RESULT))

    size = len(json.dumps(LARGE, separators=(",", ":")))
    reference = reference_in(state.input)
    assert reference is not None
    assert reference.size == size
    write = state.steps[("write", 0)]
    assert is_packed(write.result)
    assert write.action.message is not None
    assert write.compensation is not None
    assert write.compensation.message is not None
    assert (write.action.message.args, write.action.message.kwargs) == ((state.input,), {"size": 200})
    assert (write.compensation.message.args, write.compensation.message.kwargs) == (
        (write.result,),
        {"data": state.input},
    )
    assert state.steps[("post", 0)].action.message.args == (200,)  # type: ignore[union-attr]
    assert len(kept(sagas)) == 2
    rows = everything(sagas)
    assert (rows.count("line 7 of"), rows.count("['a page")) == (1, 0)

    tell(sagas, handle, done(POST))
    assert handle.result() == RESULT
    assert handle.opened(handle.snapshot().input) == LARGE
    assert registry.find("town.report").start(LARGE, key="r-1").id == handle.id
    with pytest.raises(KeyConflict):
        report(key="r-1", data=SMALL)


def test_small_values_are_stored_as_ever(office: Office) -> None:
    sagas = office()
    handle = report(data=SMALL)
    state = tell(sagas, handle, e.Nudged(), done(WRITE, {"pages": []}))

    assert state.input == SMALL
    assert state.steps[("write", 0)].result == {"pages": []}
    assert kept(sagas) == []


def test_values_that_fit_cost_no_statement(office: Office) -> None:
    counts = []
    for settings in ({"payload_limit": INLINE}, {"payload_limit": 10_000_000}):
        sagas = office(**settings)
        registry.find("town.report").start(SMALL)  # plans and connections are there from now on
        statements: list[str] = []
        engine = sagas.store.connections.engine
        sa.event.listen(engine, "before_cursor_execute", lambda *args, seen=statements: seen.append(args[2]))
        tell(sagas, report(data=SMALL), e.Nudged(), done(WRITE, {"pages": []}), done(POST))
        counts.append(statements)

    assert counts[0] == counts[1]
    assert not any("saga_payload" in statement for statement in counts[1])


def test_a_payload_that_is_gone_parks_the_saga_and_comes_back(office: Office) -> None:
    sagas = office()
    handle = report()
    sagas.store.payloads.delete(handle.id)

    assert tell(sagas, handle, e.Nudged(), parks=False).status is SagaStatus.RUNNING
    state = tell(sagas, handle, e.Nudged())
    assert state.status is SagaStatus.FAILED
    assert "PayloadMissing: payload " in state.letters[0].detail
    with pytest.raises(PayloadMissing, match="is not in the payload store"):
        handle.opened(state.input)

    reference = reference_in(state.input)
    assert reference is not None
    body = json.dumps(LARGE, separators=(",", ":")).encode()
    sagas.store.payloads.put(handle.id, reference.digest, body)
    handle.retry(reason="it was put back")
    state = tell(sagas, handle, e.Nudged())
    assert state.status is SagaStatus.RUNNING
    assert state.steps[("write", 0)].action.message is not None


def test_a_directory_holds_them_as_files(office: Office, tmp_path: Path) -> None:
    sagas = office(payload_store=f"file://{tmp_path}/pay%20loads")
    handle = report()
    tell(sagas, handle, e.Nudged(), done(WRITE, RESULT), done(POST))

    files = [file for file in (tmp_path / "pay loads").rglob("*") if file.is_file()]
    assert sorted(file.read_text()[:8] for file in files) == ['{"lines"', '{"pages"']
    assert kept(sagas) == []
    assert handle.result() == RESULT

    sagas.payloads.forget(handle.id)
    assert not [file for file in (tmp_path / "pay loads").rglob("*") if file.is_file()]


class Moody(dict[tuple[str, str], bytes]):
    """A payload store of ten lines, which may be away."""

    away = False

    def put(self, saga_id: str, digest: str, body: bytes) -> None:
        self._ask()
        self[(saga_id, digest)] = body

    def get(self, saga_id: str, digest: str) -> bytes:  # type: ignore[override]
        self._ask()
        return self[(saga_id, digest)]

    def delete(self, saga_id: str) -> None:
        for place in [place for place in self if place[0] == saga_id]:
            del self[place]

    def _ask(self) -> None:
        if self.away:
            raise ConnectionError("the bucket does not answer")


def test_an_outage_of_the_payload_store_is_no_reason_to_park(office: Office) -> None:
    moody = Moody()
    sagas = office(payload_store=moody)
    handle = report()
    moody.away = True
    with pytest.raises(StoreUnavailable, match="the bucket does not answer"):
        report()
    with pytest.raises(PayloadUnavailable):
        tell(sagas, handle, e.Nudged())
    moody.away = False
    state = tell(sagas, handle, e.Nudged())
    moody.away = True
    with pytest.raises(PayloadUnavailable):
        tell(sagas, handle, done(WRITE, RESULT))
    moody.away = False

    assert state.status is SagaStatus.RUNNING
    assert state.letters == ()
    assert len(moody) == 1


def test_a_payload_that_was_changed_is_refused(office: Office) -> None:
    moody = Moody()
    sagas = office(payload_store=moody)
    handle = report()
    moody[next(iter(moody))] = b'{"lines": []}'

    state = tell(sagas, handle, e.Nudged())
    assert "was changed after it was stored" in state.letters[0].detail


@pytest.mark.parametrize("name", ["$saga_payload", "$saga_sealed"])
def test_what_looks_packed_is_refused(office: Office, name: str) -> None:
    sagas = office()
    with pytest.raises(InputRejected, match="is reserved"):
        report(data={name: "x"})
    handle = report(data={"lines": [], "more": {name: "deeper it is a name like any other"}})
    assert tell(sagas, handle, e.Nudged()).status is SagaStatus.RUNNING


# -------------------------------------------------------------------------------------------------------------- sealed


@pytest.mark.parametrize("data", [LARGE, SMALL], ids=["large", "small"])
def test_a_codec_leaves_no_plain_text_at_rest(office: Office, data: dict[str, Any]) -> None:
    sagas = office(codec=Mirror())
    handle = report(data=data, key="r-1")
    result = {"pages": ["a page", data]}
    tell(sagas, handle, e.Nudged(), done(WRITE, result), done(POST, "posted"))

    rows = everything(sagas)
    for secret in ("tea", "line 7", "a page", "posted"):
        assert secret not in rows
    assert "mirror:base64," in rows
    assert handle.result() == result
    assert registry.find("town.report").start(data, key="r-1").id == handle.id


def test_a_sealed_value_that_does_not_fit_is_in_no_letter_and_no_history(office: Office) -> None:
    sagas = office(codec=Mirror())
    handle = report(data={"lines": ["tea"]})
    registry._sagas.clear()

    class Stamped(BaseModel):
        stamp: str

    class ReportSaga(Saga[dict[str, Any]]):
        name = "town.report"

        @step(idempotent=True)
        def write(self, data: dict[str, Any]) -> Signature[Stamped]:
            return self.task("town.write", data, size=1)

        @write.compensate
        def burn(self, data: dict[str, Any], write: Stamped) -> Signature[None]:
            return self.task("town.burn", write, data=data)

        @step(no_compensation="a message", idempotent=True)
        def post(self, data: dict[str, Any], write: Stamped) -> Signature[None]:
            return self.task("town.post", write.stamp)

    state = tell(sagas, handle, e.Nudged(), done(WRITE, {"S-KEY": "S-VALUE"}))

    assert state.status is SagaStatus.FAILED
    assert "does not fit Stamped: stamp: Field required" in state.letters[0].detail
    assert "S-" not in everything(sagas)


def test_what_lay_open_before_stays_readable_and_codecs_may_follow_one_another(office: Office) -> None:
    plain = office()
    first = report(data=SMALL)
    tell(plain, first, e.Nudged())
    old = office(codec=Mirror("old", 7))
    second = report(data=SMALL)
    tell(old, first, done(WRITE, {"pages": [1]}))
    tell(old, second, e.Nudged())
    both = office(codec=[Mirror("new", 9), Mirror("old", 7)])
    state = tell(both, second, done(WRITE, {"pages": [2]}))
    assert state.steps[("write", 0)].result[SEALED].startswith("new:")
    assert state.input[SEALED].startswith("old:")

    for handle in (first, second):
        tell(both, handle, done(POST))
    ends = [registry.find("town.report").get(handle.id).result() for handle in (first, second)]
    assert ends == [{"pages": [1]}, {"pages": [2]}]


def test_with_another_key_the_saga_parks_and_nothing_is_lost(office: Office) -> None:
    right = office(codec=Mirror())
    handle = report(data=SMALL)
    wrong = office(codec=Mirror(key=1))
    state = tell(wrong, handle, e.Nudged())

    assert state.status is SagaStatus.FAILED
    assert "SealBroken: codec 'mirror' can not open it (ValueError): it was sealed with another key" in (
        state.letters[0].detail
    )
    with pytest.raises(SealBroken):
        wrong.desk.opened(handle.id, state.input)
    none = office()
    with pytest.raises(SealBroken, match="sealed by codec 'mirror', and this process has none: see saga_codec"):
        none.desk.opened(handle.id, state.input)

    right.desk.operate(handle.id, _retry())
    assert tell(right, handle, e.Nudged()).status is SagaStatus.RUNNING


def _retry() -> e.OperatorAsked:
    return e.OperatorAsked(verb=e.Verb.RETRY, actor="ann", reason="the key is right now")


def test_a_message_that_can_not_be_read_parks_its_step(office: Office) -> None:
    sagas = office()
    handle = report(data=SMALL)
    tell(sagas, handle, e.Nudged())
    unread = _unread(WRITE)
    state = tell(sagas, handle, unread)

    assert (state.status, state.letters[0].reason) == (SagaStatus.FAILED, "exhausted")
    assert "SealBroken" in state.letters[0].detail
    tell(sagas, handle, _retry())
    state = tell(sagas, handle, e.AttemptSucceeded(slot=WRITE, attempt=2, result={"pages": []}), done(POST))
    assert state.status is SagaStatus.COMPLETED


def _unread(slot: Slot) -> e.AttemptFailed:
    from saga_celery.transport.outcomes import failed

    return failed(SealBroken("another key"), slot, 1)


def test_a_compensation_that_can_not_be_read_parks_at_once(office: Office) -> None:
    sagas = office()
    handle = report(data=SMALL)
    tell(sagas, handle, e.Nudged(), done(WRITE, {"pages": []}))
    handle.cancel(reason="no more")
    tell(sagas, handle, done(POST))
    state = tell(sagas, handle, _unread(Slot("write", 0, Direction.COMPENSATION)))

    assert [letter.reason.value for letter in state.letters] == ["compensation_exhausted"]
