"""What sagas tell each other: a parent its child, and a child its parent. It is stored with the transition it is about.

A child's id is made of its parent's activity, so that a transition that is decided twice starts one child.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from saga_celery.core.commands import Command, StartChild, TurnChild
from saga_celery.core.events import ChildEnded, ParentTurned
from saga_celery.core.plan import Plan
from saga_celery.core.states import Failure, Message, Parent, SagaState, SagaStatus, Slot
from saga_celery.engine.ports import InboxNews, NewChild

CHILD_TASK = "saga_celery.child"
"""The name of no task: what stands in the message of an activity that runs another saga."""
HandOver: TypeAlias = Callable[[str, str, Any], Any]
"""(saga, other saga, what stands for a value of the first) -> what stands for it in the second."""
DONE = (SagaStatus.COMPLETED, SagaStatus.COMPENSATED)


def child_message(plan: Plan, data: Any, timeout: float | None, max_running: int | None = None) -> Message:
    """What is stored of a child saga before it is started.

    Args:
        plan: its graph; names it, too.
        data: its input, plain JSON.
        timeout: seconds that it may take as a whole.
        max_running: how many sagas of its name may be under way at once.
    """
    told = {"plan": plan.to_json(), "input": data, "timeout": timeout, "max_running": max_running}
    return Message(task=CHILD_TASK, kwargs=told)


def child_id(parent_id: str, slot: Slot) -> str:
    """The id of the child of an activity."""
    name = f"saga_celery:{parent_id}:{slot.step}:{slot.item}:{slot.generation}"
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def children(state: SagaState, commands: Iterable[Command], hand_over: HandOver) -> Iterator[NewChild]:
    """The children that a transition starts.

    Args:
        state: the saga after it.
        commands: what the machine wishes for.
        hand_over: makes of a packed value one that the child may hold.
    """
    for command in commands:
        if isinstance(command, StartChild):
            yield _new_child(state, command.slot, hand_over)


def _new_child(state: SagaState, slot: Slot, hand_over: HandOver) -> NewChild:
    message = state.steps[(slot.step, slot.item)].action.message
    assert message is not None  # noqa: S101 - it was rendered with the wish to start it
    plan, own_id = Plan.from_json(message.kwargs["plan"]), child_id(state.id, slot)
    return NewChild(
        id=own_id,
        name=plan.saga,
        plan=plan,
        parent=Parent(id=state.id, step=slot.step, item=slot.item, generation=slot.generation),
        input=hand_over(state.id, own_id, message.kwargs["input"]),
        timeout=message.kwargs["timeout"],
        headers=state.headers,
        priority=state.priority,
        max_running=message.kwargs.get("max_running"),
        shares_lock=state.gated,
    )


def posts(
    before: SagaState,
    after: SagaState,
    commands: Iterable[Command],
    taken: Sequence[InboxNews],
    hand_over: HandOver,
) -> Iterator[InboxNews]:
    """What a transition tells other sagas.

    Args:
        before: the saga before it.
        after: the saga after it.
        commands: what the machine wishes for.
        taken: the news from the inbox that it rests on.
        hand_over: makes of a packed value one that the other saga may hold.
    """
    moment = f"{before.id}:{before.version + 1}"
    turned = {command.slot: command for command in commands if isinstance(command, TurnChild)}
    for slot, command in turned.items():
        told = ParentTurned(reason=command.reason, undo=command.undo)
        yield InboxNews(saga_id=child_id(before.id, slot), id=f"{moment}:{slot.step}:{slot.item}", news=told)
    if after.parent is not None and after.status in DONE and _is_news(before, taken):
        yield InboxNews(saga_id=after.parent.id, id=moment, news=_ended(after, after.parent, hand_over))


def _is_news(before: SagaState, taken: Sequence[InboxNews]) -> bool:
    """A parent that undoes its child waits for an answer, also from a child that is undone already."""
    return before.status not in DONE or any(isinstance(each.news, ParentTurned) and each.news.undo for each in taken)


def _ended(state: SagaState, parent: Parent, hand_over: HandOver) -> ChildEnded:
    failure = None
    if state.turn is not None:
        message = f"the child saga {state.name} was undone: {state.turn.reason}"
        failure = state.turn.failure or Failure(type="saga_celery.ChildCompensated", message=message)
    result = hand_over(state.id, parent.id, state.result)
    return ChildEnded(slot=parent.slot, status=state.status, result=result, failure=failure)
