"""Waits and sleeps that are right; a type checker without any plug-in has nothing to say."""

from __future__ import annotations

from datetime import timedelta

from celery.canvas import Signature

from saga_celery.core.states import SagaStatus
from saga_celery.definition import SKIP, Retry, Saga, SagaHandle, Skip, Wait, sleep, wait_for
from tests.typecheck.cases.tasks import Approval


class PatientSaga(Saga[int, str]):
    """Waits for every kind of thing."""

    name = "typed.patient"

    @wait_for(Approval, timeout=timedelta(days=2), skippable=True, retry=Retry(attempts=3))
    def approve(self, number: int) -> Signature[None] | Skip:
        return self.task("ask") if number else SKIP

    @wait_for(str, timeout=60, renamed_from="wish")
    def choice(self, number: int, approve: Approval | None) -> None: ...

    cool_off = sleep(timedelta(days=14))

    @sleep
    def a_little(self, number: int, choice: str) -> timedelta:
        return timedelta(seconds=number)

    def result(self, number: int, choice: str) -> str:
        return choice


def answer(saga_id: str, approval: Approval) -> None:
    wait: Wait[Approval] = PatientSaga.approve
    wait.send(saga_id, approval, event_id="form-7", actor="ann")
    PatientSaga.choice.send(saga_id, "red")
    handle: SagaHandle[str] = PatientSaga.get(saga_id)
    handle.send("choice", "red")
    status: SagaStatus = handle.cancel(reason="changed their mind", session=None)
    print(status)
