"""Seven mistakes with waits and sleeps that a type checker finds without any plug-in."""

from __future__ import annotations

from saga_celery.definition import Saga, sleep, wait_for
from tests.typecheck.cases.patient import PatientSaga
from tests.typecheck.cases.tasks import Approval


class Impatient(Saga[int]):
    name = "typed.impatient"

    @wait_for(Approval)  # E: call-arg
    def endless(self, number: int) -> None: ...

    @wait_for(Approval, timeout="2 days")  # E: arg-type
    def worded(self, number: int) -> None: ...

    @wait_for(Approval, timeout=60)  # E: arg-type
    def returned(self, number: int) -> Approval:
        return Approval(ok=True, by="nobody")

    rest = sleep(14)  # E: call-overload


PatientSaga.approve.send("s1", "yes")  # E: arg-type
PatientSaga.choice.send("s1", Approval(ok=True, by="ann"))  # E: arg-type
PatientSaga.get("s1").cancel()  # E: call-arg
