"""The spans of sagas, with the real SDK: where they hang, what they tell, and that nothing rests on them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from celery import _state, signals
from celery.contrib.testing.worker import start_worker
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.distro import DefaultDistro
from opentelemetry.trace import SpanKind, StatusCode

from saga_celery.core.events import AttemptSucceeded
from saga_celery.core.states import Slot
from saga_celery.definition import desk, registry
from saga_celery.settings import CONTEXT_HEADERS
from saga_celery.transport.tracing import ANCHOR, install_tracing, surroundings
from tests.contrib.opentelemetry.office import LoanSaga, Office

ROOT = Path(__file__).parents[3]
HOUR = 3600.0
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def bare(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setattr(registry, "_sagas", {"bank.loan": LoanSaga})
    monkeypatch.setattr(desk, "_bound", [])
    made = Office(sqlite_url)
    yield made
    made.close()


@pytest.fixture
def office(bare: Office) -> Office:
    bare.instrument()
    return bare


def ended(office: Office, word: str = "well", **options: Any) -> str:
    handle = LoanSaga.start(word, key="loan-1", **options)
    office.work()
    office.approve(handle.id)
    return handle.id


# ------------------------------------------------------------------------------------------------------- one trace


def test_a_saga_is_one_trace_with_a_span_for_each_step(office: Office) -> None:
    saga_id = ended(office)

    assert len(office.traces()) == 1
    assert office.span("bank.loan start").parent is None
    steps = ["bank.loan/reserve", "bank.loan/pay", "bank.loan/tell", "bank.loan/close"]
    assert sorted(office.children("bank.loan start")) == sorted([*steps, "bank.loan completed"])
    assert dict(office.span("bank.loan/pay").attributes or {}) == {
        "saga.id": saga_id,
        "saga.name": "bank.loan",
        "saga.step": "pay",
        "saga.item": 0,
        "saga.direction": "action",
        "saga.attempt": 1,
    }
    assert (office.span("bank.loan start").kind, office.span("bank.loan/pay").kind) == (
        SpanKind.PRODUCER,
        SpanKind.CONSUMER,
    )
    assert not any(each.links for each in office.spans())


def test_it_hangs_where_its_caller_stands(office: Office) -> None:
    with office.tracer.start_as_current_span("request"):
        ended(office)
    assert len(office.traces()) == 1
    assert "bank.loan start" not in office.names()
    assert "bank.loan/reserve" in office.children("request")


def test_headers_that_are_given_stay_as_they_are(office: Office) -> None:
    with office.tracer.start_as_current_span("request"):
        saga_id = LoanSaga.start("well", headers={"traceparent": GIVEN, "request_id": "r-7"}).id
    stored = office.sagas.store.load(saga_id)
    assert stored is not None
    assert stored.headers == {"traceparent": GIVEN, "request_id": "r-7", "tracestate": "saga=1893499200"}

    office.work()
    assert f"{office.span('bank.loan/reserve').context.trace_id:032x}" == GIVEN.split("-")[1]


def test_a_trace_that_is_given_begins_no_other(office: Office) -> None:
    given = {"traceparent": GIVEN}
    LoanSaga.start("well", headers=given)
    office.app.task(name="bank.open", shared=False)(start_one)
    office.app.tasks["bank.open"].apply(headers=given)  # of a worker without an instrumentation of Celery
    office.work()
    assert office.names() == ["bank.loan/reserve"] * 2
    assert {f"{trace:032x}" for trace in office.traces()} == {GIVEN.split("-")[1]}


def start_one() -> None:
    LoanSaga.start("well")


def test_a_saga_that_is_started_within_a_step_hangs_under_it(office: Office) -> None:
    started = []

    def within() -> None:
        if not started:
            started.append(LoanSaga.start("well").id)

    office.within = within  # type: ignore[assignment]
    ended(office)
    assert office.children("bank.loan/close") == ["bank.loan/reserve"]
    assert len(office.traces()) == 1


# -------------------------------------------------------------------------------------------------- errors and retries


def test_an_attempt_that_fails_tells_its_error_and_what_it_undoes_hangs_beside_it(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    ended(office, "refuse")
    assert "tracing failed" not in caplog.text

    failed = office.span("bank.loan/pay")
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "Refused: no")
    ((name, attributes),) = [(each.name, each.attributes or {}) for each in failed.events]
    assert (name, attributes["exception.message"]) == ("exception", "no")
    undone = office.span("bank.loan/reserve (compensation)")
    assert (undone.attributes or {})["saga.direction"] == "compensation"
    assert undone.status.status_code is StatusCode.UNSET
    assert {"bank.loan compensating", "bank.loan compensated"} <= set(office.children("bank.loan start"))
    assert (office.span("bank.loan compensating").attributes or {})["saga.reason"] == "failure"


def test_each_attempt_is_a_span_of_its_own(office: Office) -> None:
    ended(office, "stumble")
    office.sweep(2.0)
    attempts = [each for each in office.spans() if each.name == "bank.loan/pay"]
    assert [(each.attributes or {})["saga.attempt"] for each in attempts] == [1, 2]
    assert [each.status.status_code for each in attempts] == [StatusCode.ERROR, StatusCode.UNSET]
    assert len(office.traces()) == 1


def test_a_task_that_puts_itself_back_has_not_failed(office: Office) -> None:
    ended(office, "again")
    assert office.span("bank.loan/pay").status.status_code is StatusCode.UNSET


def test_a_dead_letter_is_an_error(office: Office) -> None:
    saga_id = ended(office, "refuse")
    handled = office.sagas.coordinator(parks_render_failures=True).handle(
        saga_id, AttemptSucceeded(slot=Slot("close"), attempt=1, result="late")
    )
    assert handled is not None
    ended_then = AttemptSucceeded(slot=Slot("pay"), attempt=1, result="late")
    office.sagas.coordinator(parks_render_failures=True).handle(saga_id, ended_then)
    late = office.span("bank.loan late effect")
    assert (late.status.status_code, late.status.description) == (StatusCode.ERROR, "pay: late_effect")


# ---------------------------------------------------------------------------------------------------------- long waits


def test_what_goes_on_behind_a_long_wait_is_a_new_trace_linked_to_the_first(office: Office) -> None:
    handle = LoanSaga.start("well")
    office.work()
    office.approve(handle.id, after=HOUR)

    start, onward = office.span("bank.loan start"), office.span("bank.loan goes on")
    assert onward.parent is None
    assert onward.context.trace_id != start.context.trace_id
    assert [each.context.span_id for each in onward.links] == [start.context.span_id]
    behind = ["bank.loan/pay", "bank.loan/tell", "bank.loan/close", "bank.loan completed"]
    assert sorted(office.children("bank.loan goes on")) == sorted(behind)
    assert len(office.traces()) == 2
    for name, linked in (("bank.loan/pay", 1), ("bank.loan/tell", 1), ("bank.loan/close", 0)):
        assert [each.context.span_id for each in office.span(name).links] == [start.context.span_id] * linked, name


def test_a_wait_that_is_not_long_changes_nothing(office: Office) -> None:
    handle = LoanSaga.start("well")
    office.work()
    office.approve(handle.id, after=299.0)
    assert len(office.traces()) == 1


def test_a_message_that_is_sent_again_days_later_is_linked_as_well(office: Office) -> None:
    LoanSaga.start("well")
    nudge = office._next()
    args, headers = nudge.decode()[0], nudge.headers
    office.app.tasks[headers["task"]].apply(args, headers=headers)
    assert office._next() is not None  # the message of the first step gets lost
    office.sweep(48 * HOUR)

    again = office.span("bank.loan/reserve")
    assert [each.context.trace_id for each in again.links] == [office.span("bank.loan start").context.trace_id]


# ----------------------------------------------------------------------------------------------------------- reporting


def test_a_report_keeps_what_follows_in_the_trace_of_the_attempt(office: Office, monkeypatch: Any) -> None:
    """A worker that has not the class reports, and a coordinator elsewhere sends the next step, an hour after the
    start."""
    monkeypatch.setattr(office.sagas, "has_plan", lambda *_: False)
    handle = LoanSaga.start("well")
    office.work()
    office.approve(handle.id, after=HOUR)
    assert "bank.loan/close" in office.children("bank.loan goes on")
    assert len(office.traces()) == 2


# ------------------------------------------------------------------------------------- beside Celery's instrumentation


@pytest.fixture
def as_before() -> Iterator[None]:
    """A worker in a test's process would set up logging, and be the current app, for all tests behind it."""
    current, default = _state._tls.current_app, _state.default_app

    def leave_it(**_: Any) -> None: ...

    signals.setup_logging.connect(leave_it)
    yield
    signals.setup_logging.disconnect(leave_it)
    _state._set_current_app(current)
    _state.set_default_app(default)


@pytest.mark.usefixtures("as_before")
def test_beside_the_instrumentation_of_celery_all_is_one_trace(office: Office) -> None:
    """Which puts a span round each message that is sent and each task that runs, in a real worker's process."""
    CeleryInstrumentor().instrument(tracer_provider=office.provider)
    try:
        with (
            office.tracer.start_as_current_span("request"),
            start_worker(office.app, pool="solo", perform_ping_check=False, shutdown_timeout=60),
        ):
            handle = LoanSaga.start("well")
            LoanSaga.approve.send(handle.id, "yes")
            assert handle.wait(timeout=60).name == "COMPLETED"
    finally:
        CeleryInstrumentor().uninstrument()

    request = office.span("request").context
    steps = [each for each in office.spans() if each.name.startswith("bank.loan/")]
    assert len(steps) == 4
    assert {each.context.trace_id for each in steps} == {request.trace_id}
    by_id = {each.context.span_id: each for each in office.spans()}
    for each in steps:
        run = by_id[each.parent.span_id]  # type: ignore[union-attr]
        sent = by_id[run.parent.span_id]  # type: ignore[union-attr]
        assert (run.name, sent.name) == ("run/bank.do", "apply_async/bank.do")
        assert sent.parent is not None
        assert sent.parent.span_id == request.span_id  # side by side, not one within the other
        assert each.kind is SpanKind.INTERNAL


def test_opentelemetry_instrument_switches_it_on(bare: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "get_tracer", lambda *_, tracer_provider: bare.provider.get_tracer("saga_celery"))
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    ((name, target),) = declared["opentelemetry_instrumentor"].items()
    DefaultDistro().load_instrumentor(EntryPoint(name, target, "opentelemetry_instrumentor"), skip_dep_check=True)
    ended(bare)
    assert "bank.loan/close" in bare.names()


# ------------------------------------------------------------------------------------------------------ in nobody's way


def test_without_the_instrumentor_nothing_is_added(bare: Office) -> None:
    saga_id = ended(bare)
    stored = bare.sagas.store.load(saga_id)
    assert stored is not None
    assert stored.headers == {}
    assert not any({ANCHOR, *CONTEXT_HEADERS} & headers.keys() for _, headers in bare.seen)
    assert bare.spans() == []


def test_a_saga_that_began_before_tracing_did_has_spans_of_its_steps_all_the_same(bare: Office) -> None:
    handle = LoanSaga.start("well")
    bare.instrument()
    bare.work()
    bare.approve(handle.id)
    assert sorted(bare.names()) == ["bank.loan/close", "bank.loan/pay", "bank.loan/reserve", "bank.loan/tell"]


class Broken:
    """A tracing library whose every call raises; what it returns first, raises later."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("the set-up is wrong")


class BrokenLater(Broken):
    def running(self, *_: Any) -> Any:
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: Any) -> None:
        raise RuntimeError("the exporter is wrong")


@pytest.mark.parametrize("broken", [Broken, BrokenLater])
def test_tracing_that_fails_harms_no_saga(bare: Office, broken: type[Any], caplog: pytest.LogCaptureFixture) -> None:
    install_tracing(broken())
    saga_id = ended(bare, "refuse")
    stored = bare.sagas.store.load(saga_id)
    assert stored is not None
    assert stored.status.name == "COMPENSATED"
    assert stored.turn is not None
    assert stored.turn.failure is not None
    assert stored.turn.failure.message == "no"
    assert "tracing failed; the saga goes on without" in caplog.text


def test_surroundings_swallow_nothing(bare: Office) -> None:
    install_tracing(BrokenLater())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt), surroundings(None, 1, {}):  # type: ignore[arg-type]
        raise KeyboardInterrupt
