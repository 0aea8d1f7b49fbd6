"""States of sagas for tests that render."""

from typing import Any

from saga_celery.core.states import Activity, SagaState, SagaStatus, StepState, StepStatus

SAGA_ID = "0198a000-0000-7000-8000-000000000001"


def state_of(saga: Any, data: Any, results: dict[str, Any] | None = None, **statuses: StepStatus) -> SagaState:
    """A running saga whose steps in `results` succeeded, and others stand as `statuses` say."""
    steps = {
        name: StepState(name=name, status=StepStatus.SUCCEEDED, result=value) for name, value in (results or {}).items()
    }
    for name, status in statuses.items():
        steps[name] = StepState(name=name, status=status, result=(results or {}).get(name), action=Activity())
    definition = saga.definition()
    return SagaState(
        id=SAGA_ID,
        name=definition.name,
        plan_hash=definition.plan.hash,
        status=SagaStatus.RUNNING,
        input=data,
        steps={(name, 0): each for name, each in steps.items()},
    )
