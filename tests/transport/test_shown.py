"""What messages show of their arguments, what workers of each kind get, and what reports carry."""

from __future__ import annotations

import json
from typing import Any

import pytest
from celery import Celery
from celery.app.amqp import AMQP

from saga_celery.app.payloads import payloads_of
from saga_celery.core.events import AttemptFailed, AttemptSucceeded
from saga_celery.core.states import Direction, Message, Slot
from saga_celery.engine.packed import APART, SEALED
from saga_celery.engine.redaction import Redaction
from saga_celery.errors import MessageNotUnderstood, PayloadMissing, PublishFailed
from saga_celery.settings import REDACTED, Settings
from saga_celery.transport import reports
from saga_celery.transport.outcomes import outcome_of
from saga_celery.transport.publisher import CeleryTransport
from saga_celery.transport.shown import redact_retries, shown_call
from tests.app.mirror import Mirror
from tests.transport.lab import outgoing

SLOT = Slot("charge")
SECRET = "4111-1111"


@pytest.fixture
def celery() -> Celery:
    app = Celery("shown", broker="memory://", set_as_current=False)

    @app.task(name="card.charge", bind=True, shared=False)
    def charge(self: Any, card_number: str, cents: int, *rest: Any, note: str = "") -> None: ...

    return app


class Sent(CeleryTransport):
    """Keeps what would go out."""

    def __init__(self, celery: Celery, settings: Settings, **parts: Any) -> None:
        super().__init__(celery, settings, **parts)
        self.sent: list[tuple[Any, ...]] = []
        self._celery = self  # type: ignore[assignment]
        self._real = celery
        self._broker = type("Broker", (), {"use": staticmethod(lambda work: work(None))})()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def send_task(self, *args: Any, **options: Any) -> None:
        self.sent.append((*args, options))


def test_arguments_are_shown_without_what_is_redacted(celery: Celery) -> None:
    transport = Sent(celery, Settings())
    transport.send([outgoing("card.charge", SECRET, 5, {"token": SECRET}, "rest")])
    ((_, args, _, options),) = transport.sent

    assert args == [SECRET, 5, {"token": SECRET}, "rest"]
    assert options["argsrepr"] == "('***', 5, {'token': '***'}, 'rest')"


def test_a_monitor_finds_all_messages_of_a_saga_and_the_place_of_each(celery: Celery) -> None:
    transport = Sent(celery, Settings())
    message = Message(task="card.charge", kwargs={"card": SECRET, "saga_id": "another", "note": "x" * 5_000})
    sent = outgoing("card.charge", slot=Slot("charge", 3, Direction.COMPENSATION), attempt=2, message=message)
    transport.send([sent])
    ((_, _, kwargs, options),) = transport.sent

    place = (
        f"{{'saga_id': '{sent.saga_id}', 'saga_name': 'shop.order', 'saga_step': 'charge', 'saga_item': 3, "
        "'saga_direction': 'compensation', 'saga_attempt': 2, 'card': '***', "
    )
    assert options["kwargsrepr"].startswith(place)
    assert SECRET not in options["kwargsrepr"]
    assert len(options["kwargsrepr"]) < 1_100
    assert kwargs == message.kwargs


def test_a_task_of_another_codebase_is_known_by_names_of_keywords_only(celery: Celery) -> None:
    shown = shown_call(None, [SECRET], {"card": SECRET, "cents": 5}, Redaction(REDACTED))
    assert shown == {"argsrepr": f"('{SECRET}',)", "kwargsrepr": "{'card': '***', 'cents': 5}"}
    assert shown_call(celery.tasks["card.charge"], [SECRET], {}, Redaction(()))["argsrepr"] == f"('{SECRET}',)"


def test_a_function_without_a_signature_has_no_names() -> None:
    task = type("Task", (), {"run": staticmethod(type)})()
    assert shown_call(task, [7], {}, Redaction(REDACTED))["argsrepr"] == "(7,)"


def test_a_retry_of_the_task_itself_is_redacted_as_well(celery: Celery) -> None:
    redact_retries(celery, lambda: Redaction(REDACTED))
    found: list[dict[str, Any]] = []
    for headers in ({"saga_v": 1, "retries": 1}, {"saga_v": 1, "retries": 0}, {"retries": 1}):
        message = AMQP(celery).as_task_v2("id", "card.charge", (SECRET, 5), {}, retries=headers["retries"])
        own = {**message.headers, **headers, "saga_id": "saga-1"}
        from celery import signals

        signals.before_task_publish.send(sender="card.charge", headers=own, body=message.body)
        found.append(own)
    assert [SECRET in each["argsrepr"] for each in found] == [False, True, True]
    assert [each["kwargsrepr"] for each in found] == ["{'saga_id': 'saga-1'}", "{}", "{}"]


# ------------------------------------------------------------------------------------------------- workers of each kind


def packed_message(settings: Settings) -> Any:
    payloads = payloads_of(settings, None)
    packer = payloads.packer()
    assert packer is not None
    values = [packer.value("saga-1", value) for value in ("x" * 100, "tea")]
    packer.taken()
    return payloads, values


def settings_of(tmp_path: Any, **more: Any) -> Settings:
    return Settings(
        payload_limit=10_000,
        payload_inline=50,
        payload_store=f"file://{tmp_path}",
        codec=Mirror(),
        foreign_queues=("foreign",),
        **more,
    )


def test_a_foreign_worker_gets_the_plain_value_and_all_others_what_is_packed(celery: Celery, tmp_path: Any) -> None:
    settings = settings_of(tmp_path)
    payloads, values = packed_message(settings)
    transport = Sent(celery, settings, payloads=payloads)
    for queue in ("steps", "foreign"):
        transport.send([outgoing("t", *values, saga_id="saga-1", queue=queue)])

    (_, own, _, shown), (_, foreign, _, _) = transport.sent
    assert own == values
    assert "xxx" not in shown["argsrepr"]
    assert foreign == ["x" * 100, "tea"]


def test_what_is_gone_keeps_a_foreign_message_back_and_no_other(celery: Celery, tmp_path: Any) -> None:
    settings = settings_of(tmp_path)
    payloads, values = packed_message(settings)
    payloads.forget("saga-1")
    transport = Sent(celery, settings, payloads=payloads)
    gone = outgoing("t", *values, saga_id="saga-1", queue="foreign", step="gone")
    with pytest.raises(PublishFailed, match="step gone can not be sent: PayloadMissing"):
        transport.send([gone, outgoing("t", 1, queue="foreign")])
    assert [args for _, args, _, _ in transport.sent] == [[1]]


def test_a_report_carries_its_result_packed(celery: Celery, tmp_path: Any) -> None:
    settings = settings_of(tmp_path)
    payloads = payloads_of(settings, None)
    transport = Sent(celery, settings, payloads=payloads)
    for result in ("tea", "x" * 100):
        transport.report("saga", "saga-1", AttemptSucceeded(slot=SLOT, attempt=1, result=result))

    envelopes = [args[1] for _, args, _ in transport.sent]
    small, large = (reports.unseal("saga-1", each, settings).result for each in envelopes)  # type: ignore[union-attr]
    assert (list(small), list(large)) == ([SEALED], [APART])
    assert "tea" not in json.dumps(envelopes)
    assert [payloads.opened("saga-1", each) for each in (small, large)] == ["tea", "x" * 100]


def test_a_report_waits_for_the_payload_store(celery: Celery, tmp_path: Any) -> None:
    (tmp_path / "file").touch()
    settings = settings_of(tmp_path / "file")
    transport = Sent(celery, settings, payloads=payloads_of(settings, None))
    with pytest.raises(PublishFailed, match="the report can not be packed: payloads can not be stored"):
        transport.report("saga", "saga-1", AttemptSucceeded(slot=SLOT, attempt=1, result="x" * 100))


def test_what_can_not_be_read_is_reported_as_such() -> None:
    outcome = outcome_of(PayloadMissing("gone"), SLOT, 1)
    assert isinstance(outcome, AttemptFailed)
    assert (outcome.parks, outcome.took_effect) == (True, False)
    sealed = reports.seal("saga-1", outcome, Settings())
    assert reports.unseal("saga-1", sealed, Settings()) == outcome
    broken = {"text": sealed["text"].replace('"parks":true', '"parks":1')}
    with pytest.raises(MessageNotUnderstood, match="parks"):
        reports.unseal("saga-1", broken, Settings())
    plain = reports.seal("saga-1", outcome_of(ValueError("no"), SLOT, 1), Settings())
    assert "parks" not in plain["text"]


def test_a_result_that_looks_packed_is_refused_where_it_is_made() -> None:
    outcome = reports.succeeded(SLOT, 1, {SEALED: "mirror:x"}, Settings())
    assert isinstance(outcome, AttemptFailed)
    assert outcome.took_effect
    assert outcome.failure.type == "saga_celery.ResultReserved"
