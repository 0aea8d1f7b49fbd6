"""A test of the tests: ways to break the protocol, each of which the simulator must notice.

A mutant replaces one rule of the machine, the engine or the store with a plausible mistake. Several are mistakes
that this code really contained. One that survives means that the simulator, or its checks, do not look where they
should.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from saga_celery.core import (
    attempts,
    awaiting,
    children,
    fan_out,
    machine,
    operators,
    progress,
    rendering,
    reopening,
    waits,
)
from saga_celery.core.commands import Rest, Settle
from saga_celery.core.draft import Draft
from saga_celery.core.events import CompensationScheduled, CompensationSkipped, RetryScheduled
from saga_celery.core.states import Direction, SagaStatus, Slot, StepStatus
from saga_celery.core.steps import marks
from saga_celery.engine import coordinator
from saga_celery.engine.ports import DEADLINE_SLOT, NUDGE_SLOT, Awaited
from tests.engine.fakes import FakeStore
from tests.simulation.world import World

Mutant = Callable[[], AbstractContextManager[Any]]
MUTANTS: dict[str, Mutant] = {}


def mutant(make: Mutant) -> Mutant:
    MUTANTS[make.__name__] = make
    return make


KILLED_BY = {
    "runs_again_what_stands": 1530,
    "nudge_forgotten_without_looking_at_the_version": 228,
    "repeats_lost_compensations": 205,
    "unstorable_result_is_failure": 130,
    "whoever_is_undone_already_does_not_answer": 202,
}
"""Seeds that once killed the tougher ones, to be tried first."""

# ------------------------------------------------------------------------------------------------------------ the store


@mutant
def no_compare_and_set() -> AbstractContextManager[Any]:
    real = FakeStore.save

    def save(self: FakeStore, change: Any) -> bool:
        stored = self.sagas[change.before.id]
        return real(self, replace(change, before=replace(change.before, version=stored.version)))

    return patch.object(FakeStore, "save", save)


@mutant
def facts_get_lost() -> AbstractContextManager[Any]:
    real = FakeStore.save

    def save(self: FakeStore, change: Any) -> bool:
        return real(self, replace(change, facts=change.facts[: max(1, len(change.facts) - 1)]))

    return patch.object(FakeStore, "save", save)


@mutant
def published_but_not_awaited() -> AbstractContextManager[Any]:
    real = FakeStore._await

    def _await(self: FakeStore, saga_id: str, due: Any) -> None:
        if due.awaited is not Awaited.START:
            real(self, saga_id, due)

    return patch.object(FakeStore, "_await", _await)


@mutant
def nudge_forgotten_without_looking_at_the_version() -> AbstractContextManager[Any]:
    def forget(self: FakeStore, saga_id: str, version: int) -> None:
        self.rows.pop((saga_id, "", 0, "action"), None)

    return patch.object(FakeStore, "forget_nudge", forget)


# ----------------------------------------------------------------------------------------------------------- the engine


@mutant
def any_transition_settles_the_nudge() -> AbstractContextManager[Any]:
    return patch.object(coordinator, "_settled_for_all", lambda decision, news: iter((NUDGE_SLOT,)))


@mutant
def the_deadline_outlives_the_saga() -> AbstractContextManager[Any]:
    real = coordinator._settled_for_all

    def settled(decision: Any, news: Any) -> Iterator[Any]:
        return (slot for slot in real(decision, news) if slot != DEADLINE_SLOT)

    return patch.object(coordinator, "_settled_for_all", settled)


@mutant
def published_without_a_commit() -> AbstractContextManager[Any]:
    def after_commit(self: Any, change: Any, decision: Any) -> Any:
        return None

    real = coordinator.Coordinator._change

    def change(self: Any, *args: Any) -> Any:
        made = real(self, *args)
        self._publish(made, made.after)
        return made

    return _both(
        patch.object(coordinator.Coordinator, "_change", change),
        patch.object(coordinator.Coordinator, "_after_commit", after_commit),
    )


@mutant
def nothing_is_ever_settled() -> AbstractContextManager[Any]:
    real = Draft.command

    def command(self: Draft, wish: Any) -> None:
        if not isinstance(wish, Settle):
            real(self, wish)

    return patch.object(Draft, "command", command)


# ------------------------------------------------------------------------------------------------------ going backward


@mutant
def compensates_forward() -> AbstractContextManager[Any]:
    def pending(draft: Draft, name: str) -> bool:
        before = [other for other, later in draft.plan.followers.items() if name in later]
        return any(progress._pending_undo(draft, other) for other in before)

    return patch.object(progress, "_followers_pending", pending)


@mutant
def compensates_all_at_once() -> AbstractContextManager[Any]:
    return patch.object(progress, "_followers_pending", lambda draft, name: False)


@mutant
def forgets_one_compensation() -> AbstractContextManager[Any]:
    real = progress._waits_for_undo
    return patch.object(
        progress, "_waits_for_undo", lambda draft, name: draft.steps[(name, 0)].order != 2 and real(draft, name)
    )


@mutant
def does_not_wait_for_compensations() -> AbstractContextManager[Any]:
    return patch.object(progress, "_pending_undo", lambda draft, name: progress._waits_for_undo(draft, name))


@mutant
def does_not_wait_for_what_is_in_flight() -> AbstractContextManager[Any]:
    return patch.object(progress, "IN_FLIGHT", 0)


@mutant
def forgets_the_pivot() -> AbstractContextManager[Any]:
    modules = (progress, attempts, operators, rendering)
    return _both(*(patch.object(module, "pivot_passed", lambda draft: False) for module in modules))


@mutant
def nothing_is_revived_behind_the_pivot() -> AbstractContextManager[Any]:
    return patch.object(progress, "_revive", lambda draft, step: None)


# --------------------------------------------------------------------------------------------------------------- lists


@mutant
def items_go_out_all_at_once() -> AbstractContextManager[Any]:
    return patch.object(fan_out, "_room", lambda draft, step, busy: None)


@mutant
def a_list_is_done_when_all_of_it_has_begun() -> AbstractContextManager[Any]:
    return patch.object(fan_out, "NOT_DONE", fan_out.WAITING)


@mutant
def items_that_have_not_begun_are_not_called_off() -> AbstractContextManager[Any]:
    known = tuple(status for status in progress.NOT_BEGUN if status is not StepStatus.QUEUED)
    return patch.object(progress, "NOT_BEGUN", known)


@mutant
def only_the_first_items_go_out() -> AbstractContextManager[Any]:
    real = fan_out._let_out

    def let_out(draft: Draft, item: Any) -> None:
        if not any(draft.steps.units(marks(StepStatus.SUCCEEDED), of=item.name)):
            real(draft, item)

    return patch.object(fan_out, "_let_out", let_out)


@mutant
def only_the_last_item_is_undone() -> AbstractContextManager[Any]:
    real = fan_out.next_to_undo

    def next_to_undo(draft: Draft, step: Any) -> Any:
        found = real(draft, step)
        for each in found[1:]:
            draft.record(CompensationScheduled(slot=each.slot(Direction.COMPENSATION)))
            draft.record(CompensationSkipped(slot=each.slot(Direction.COMPENSATION)))
        return found[:1]

    return patch.object(fan_out, "next_to_undo", next_to_undo)


@mutant
def results_come_in_another_order() -> AbstractContextManager[Any]:
    def results(draft: Draft, step: Any) -> list[Any]:
        return [item.result for item in reversed(list(draft.steps.units(fan_out.EVERY, of=step.name)))]

    return patch.object(fan_out, "results_of", results)


# ------------------------------------------------------------------------------------------------------------- attempts


@mutant
def lost_is_failed() -> AbstractContextManager[Any]:
    return patch.object(
        attempts,
        "_action_lost",
        lambda draft, slot, activity, failure: attempts.action_failed_for_good(draft, slot, failure),
    )


@mutant
def lost_then_failed_is_failed() -> AbstractContextManager[Any]:
    return patch.object(attempts, "unknown_for_good", attempts.action_failed_for_good)


@mutant
def late_success_is_ignored() -> AbstractContextManager[Any]:
    return patch.object(attempts, "_late_effect", lambda draft, news: None)


@mutant
def doubled_success_is_undone_twice() -> AbstractContextManager[Any]:
    return patch.object(attempts, "never_succeeded", lambda step: True)


@mutant
def unstorable_result_is_failure() -> AbstractContextManager[Any]:
    return patch.object(
        attempts,
        "_effect_without_result",
        lambda draft, news: attempts.action_failed_for_good(draft, news.slot, news.failure),
    )


@mutant
def resends_what_must_not_run_twice() -> AbstractContextManager[Any]:
    def lost(draft: Draft, slot: Any, activity: Any, failure: Any) -> None:
        draft.record(RetryScheduled(slot=slot))
        draft.command(Rest(slot=slot, attempt=activity.attempt, seconds=1.0))

    return patch.object(attempts, "_action_lost", lost)


@mutant
def repeats_lost_compensations() -> AbstractContextManager[Any]:
    return patch.object(
        attempts,
        "_compensation_lost",
        lambda draft, news, activity: attempts._rest(draft, news.slot, activity),
    )


@mutant
def every_copy_is_granted() -> AbstractContextManager[Any]:
    def started(draft: Draft, news: Any) -> None:
        step = draft.step(news.slot)
        if step is not None and attempts._current(step, news.slot, news.attempt):
            attempts._claim(draft, news, news.attempt, step.activity(news.slot.direction))

    return patch.object(machine.attempts, "started", started)


# --------------------------------------------------------------------------------------------------- waits and children


@mutant
def an_early_event_is_forgotten() -> AbstractContextManager[Any]:
    def sent(draft: Draft, news: Any) -> None:
        step = draft.state.step(news.wait)
        if step is not None and step.status is StepStatus.AWAITING:
            real(draft, news)
        else:
            waits._note(draft, news.wait, news, "too early")

    real = waits.event_sent
    return patch.object(machine.waits, "event_sent", sent)


@mutant
def a_wait_sets_no_alarm() -> AbstractContextManager[Any]:
    return patch.object(awaiting, "_set_alarm", lambda draft, slot: None)


@mutant
def an_event_is_taken_again_and_again() -> AbstractContextManager[Any]:
    real = FakeStore.save

    def save(self: FakeStore, change: Any) -> bool:
        return real(self, replace(change, taken=()))

    return patch.object(FakeStore, "save", save)


@mutant
def what_lies_in_the_inbox_awaits_no_nudge() -> AbstractContextManager[Any]:
    def post(self: FakeStore, *news: Any) -> None:
        for each in news:
            self.inboxes.setdefault((each.saga_id, each.id), each)

    return patch.object(FakeStore, "post", post)


@mutant
def a_childs_end_is_told_by_a_message_only() -> AbstractContextManager[Any]:
    return patch.object(coordinator.correspondence, "posts", lambda *args: iter(()))


@mutant
def a_running_child_is_not_awaited() -> AbstractContextManager[Any]:
    return patch.object(progress, "running_children", lambda draft: [])


@mutant
def a_completed_child_is_not_undone() -> AbstractContextManager[Any]:
    def turned(draft: Draft, news: Any) -> None:
        if draft.state.status is SagaStatus.COMPLETED:
            children._note(draft, Slot(""), "it is done")
        else:
            real(draft, news)

    real = children.parent_turned
    return patch.object(machine.children, "parent_turned", turned)


@mutant
def a_child_has_a_new_id_each_time() -> AbstractContextManager[Any]:
    real = coordinator.correspondence.child_id
    number = itertools.count()
    return patch.object(
        coordinator.correspondence, "child_id", lambda parent, slot: f"{real(parent, slot)}{next(number)}"
    )


@mutant
def whoever_is_undone_already_does_not_answer() -> AbstractContextManager[Any]:
    return patch.object(
        coordinator.correspondence, "_is_news", lambda before, taken: before.status is not SagaStatus.COMPLETED
    )


# ----------------------------------------------------------------------------------------------------------- operators


@mutant
def suspended_all_the_same_goes_on() -> AbstractContextManager[Any]:
    return patch.object(machine, "_moves", lambda news: False)


@mutant
def the_resume_wakes_nobody() -> AbstractContextManager[Any]:
    return patch.object(FakeStore, "_wake", lambda self, saga_id, version: None)


@mutant
def undoes_what_lies_behind_a_pivot() -> AbstractContextManager[Any]:
    return patch.object(reopening, "pivot_passed", lambda draft: False)


@mutant
def runs_again_what_stands() -> AbstractContextManager[Any]:
    return patch.object(reopening, "_may_run_again", lambda draft, name: True)


@mutant
def runs_again_under_the_old_key() -> AbstractContextManager[Any]:
    return patch.object(reopening, "_next_generation", lambda step: step.action.generation if step else 1)


# ------------------------------------------------------------------------------------------------- keys and generations


@mutant
def key_per_attempt() -> AbstractContextManager[Any]:
    return patch.object(World, "key_of", lambda self, run: (run.out.saga_id, run.out.slot, run.attempt))


@mutant
def operator_repeats_under_the_old_key() -> AbstractContextManager[Any]:
    return patch.object(operators, "is_fatal", lambda activity: False)


class _both(AbstractContextManager[Any]):  # noqa: N801 - reads like the function that it stands in for
    def __init__(self, *patches: Any) -> None:
        self._patches = patches

    def __enter__(self) -> None:
        for each in self._patches:
            each.start()

    def __exit__(self, *_: object) -> None:
        for each in self._patches:
            each.stop()
