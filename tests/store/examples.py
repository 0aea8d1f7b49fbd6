"""Sagas to try the store with: made by hand, and drawn by Hypothesis."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from alembic import command
from hypothesis import strategies as st

from saga_celery.core import events as e
from saga_celery.core.plan import Plan, PlannedStep
from saga_celery.core.retry import Retry
from saga_celery.core.states import (
    Activity,
    DeadLetter,
    Direction,
    Failure,
    Message,
    Policy,
    Reason,
    SagaState,
    SagaStatus,
    Slot,
    StepState,
    StepStatus,
    Turn,
    TurnKind,
)
from saga_celery.engine.ports import Awaited, Change, Due
from saga_celery.store import NewSaga, SQLStore
from saga_celery.store.codec import storable
from saga_celery.store.migrate import _config

PLAN = Plan(
    saga="shop.order",
    steps=(PlannedStep(name="reserve", compensable=True), PlannedStep(name="charge", after=("reserve",), pivot=True)),
)
CHARGE = Slot("charge")


def new(saga_id: str, **values: Any) -> NewSaga:
    return NewSaga(id=saga_id, **{"name": "shop.order", "plan": PLAN, "input": {"order": 7}, **values})


def alembic(store: SQLStore, verb: str, revision: str) -> None:
    """Take the tables to another revision, forward or back."""
    with store.connections.transaction() as connection:
        getattr(command, verb)(_config(connection=connection), revision)


def started(store: SQLStore, saga_id: str = "s1", **values: Any) -> SagaState:
    """A saga that was started and loaded."""
    store.start([new(saga_id, **values)], nudge_after=10.0)
    state = store.load(saga_id)
    assert state is not None
    return state


def change(before: SagaState, facts: Sequence[e.Fact] = (e.SagaStarted(),), **values: Any) -> Change:
    """A transition that sets fields of the state; `awaited` and `settled` go into the change."""
    wanted = {name: values.pop(name, ()) for name in ("awaited", "settled")}
    return Change(before=before, after=replace(before, **values), facts=tuple(facts), **wanted)


def moved(store: SQLStore, before: SagaState, facts: Sequence[e.Fact] = (e.SagaStarted(),), **values: Any) -> SagaState:
    """The state after a transition that must succeed."""
    assert store.save(change(before, facts, **values))
    after = store.load(before.id)
    assert after is not None
    return after


def due(slot: Slot = CHARGE, awaited: Awaited = Awaited.START, seconds: float = 30.0, **values: Any) -> Due:
    return Due(slot=slot, awaited=awaited, seconds=seconds, **values)


def letter(step: str = "charge", **values: Any) -> DeadLetter:
    return DeadLetter(**{"step": step, "reason": Reason.EXHAUSTED, "detail": "5 attempts", **values})


# ── Hypothesis ───────────────────────────────────────────────────────────────────────────────────────────────────────

words = st.text("abcxyz_ßé", min_size=1, max_size=8)
texts = st.text(max_size=20)
numbers = st.integers(0, 30_000)
seconds = st.floats(0, 1e6, allow_nan=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
results = st.none() | plain
failures = st.builds(
    Failure, type=words, message=texts, types=st.lists(words, max_size=2).map(tuple), traceback=texts, step=words
)
messages = st.builds(
    Message,
    task=words,
    args=st.lists(plain, max_size=2).map(tuple),
    kwargs=st.dictionaries(words, plain, max_size=2),
    options=st.dictionaries(words, plain, max_size=2),
)
retries = st.builds(Retry, attempts=st.integers(1, 99), delay=seconds, maximum=seconds, jitter=st.booleans())
policies = st.builds(
    Policy,
    retry=retries,
    timeout=seconds,
    queue_grace=seconds,
    settle_delay=seconds,
    resend=st.booleans(),
    null_safe=st.booleans(),
    needs_result=st.booleans(),
    probe=st.booleans(),
    fatal=st.lists(words, max_size=2).map(tuple),
    limit=st.none() | st.integers(1, 99),
)
activities = st.builds(
    Activity,
    generation=st.integers(1, 9),
    message=st.none() | messages,
    policy=policies,
    attempt=numbers,
    tries=numbers,
    epoch=numbers,
    worker=words,
    lost=st.booleans(),
    void=st.booleans(),
    failure=st.none() | failures,
)
steps = st.builds(
    StepState,
    name=words,
    item=numbers,
    status=st.sampled_from(StepStatus),
    order=numbers,
    action=activities,
    compensation=st.none() | activities,
    probe=st.none() | activities,
    result=results,
    items=st.none() | st.integers(0, 9),
)
slots = st.builds(Slot, words, numbers, st.sampled_from(Direction), st.integers(1, 9))
letters = st.builds(
    DeadLetter,
    step=words,
    item=numbers,
    direction=st.sampled_from(Direction),
    generation=st.integers(1, 3),
    reason=st.sampled_from(Reason),
    detail=texts.map(storable),
    result=results,
)
turns = st.builds(
    Turn, kind=st.sampled_from(TurnKind), reason=texts, step=words, item=numbers, failure=st.none() | failures
)
several_letters = st.lists(letters, max_size=3, unique_by=lambda found: found.slot)
moves = st.fixed_dictionaries(
    {
        "status": st.sampled_from(SagaStatus),
        "result": results,
        "steps": st.lists(steps, max_size=3).map(lambda some: {(step.name, step.item): step for step in some}),
        "turn": st.none() | turns,
        "parked_from": st.none() | st.sampled_from(SagaStatus),
        "letters": several_letters.map(tuple),
        "suspended": st.booleans(),
        "overdue": st.booleans(),
    }
)
"""What a transition may set."""

_PARTS: dict[str, st.SearchStrategy[Any]] = {
    "slot": slots,
    "turn": turns,
    "letter": letters,
    "failure": failures,
    "result": results,
    "message": st.none() | messages,
    "policy": policies,
    "attempt": numbers,
    "before": messages,
    "after": messages,
    "changed": st.lists(words, max_size=3).map(tuple),
    "payload": results,
}


@st.composite
def facts(draw: st.DrawFn) -> e.Fact:
    """A fact of any kind."""
    kind = draw(st.sampled_from(list(e.FACTS.values())))
    parts = {part.name: _PARTS[part.name] for part in fields(kind) if part.name in _PARTS}
    if kind is e.ItemQueued:
        parts["message"] = messages
    found: e.Fact = draw(st.builds(kind, **parts))
    return found
