"""How sagas are written, checked and rendered."""

from saga_celery.core.retry import Retry
from saga_celery.definition.chain import SagaChain, saga_chain
from saga_celery.definition.chain_steps import compensation, saga_step
from saga_celery.definition.children import Child
from saga_celery.definition.desk import (
    Desk,
    HistoryEntry,
    IfExists,
    Snapshot,
    Started,
    StartRequest,
    bind_desk,
    current_desk,
)
from saga_celery.definition.findings import NEVER, UNKNOWN, Finding, Found
from saga_celery.definition.groups import parallel, sequence
from saga_celery.definition.handle import SagaHandle
from saga_celery.definition.saga import Saga
from saga_celery.definition.skip import SKIP, Skip
from saga_celery.definition.starting import StartItem
from saga_celery.definition.steps import Step, step
from saga_celery.definition.waits import Sleep, Wait, sleep, wait_for
from saga_celery.errors import Abort

__all__ = [
    "NEVER",
    "SKIP",
    "UNKNOWN",
    "Abort",
    "Child",
    "Desk",
    "Finding",
    "Found",
    "HistoryEntry",
    "IfExists",
    "Retry",
    "Saga",
    "SagaChain",
    "SagaHandle",
    "Skip",
    "Sleep",
    "Snapshot",
    "StartItem",
    "StartRequest",
    "Started",
    "Step",
    "Wait",
    "bind_desk",
    "compensation",
    "current_desk",
    "parallel",
    "saga_chain",
    "saga_step",
    "sequence",
    "sleep",
    "step",
    "wait_for",
]
