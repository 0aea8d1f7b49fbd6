"""How each golden saga got where it is stored. A story is told by the code of the release that it is stored for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from saga_celery.core import events as e
from saga_celery.core.states import Direction, SagaStatus, Slot
from saga_celery.definition import Saga
from tests.golden.sagas import BasketSaga, Order, OrderSaga, RentalSaga, TripSaga
from tests.golden.world import World

UNDO = Direction.COMPENSATION
TEA = Order("tea", 500)
PARKED, BACK, DONE, UNDONE = (
    SagaStatus.FAILED,
    SagaStatus.COMPENSATING,
    SagaStatus.COMPLETED,
    SagaStatus.COMPENSATED,
)


def asks(verb: e.Verb, **more: Any) -> e.OperatorAsked:
    return e.OperatorAsked(verb=verb, actor="ada", reason="she knows", **more)


@dataclass(frozen=True)
class Story:
    tell: Callable[[World], None]
    saga: type[Saga[Any, Any]]
    data: Any
    stored: SagaStatus
    """Where it stands when it is stored."""
    ends: SagaStatus
    """Where today's code brings it."""
    ask: e.OperatorAsked | None
    """What a person does first, where it waits for one."""

    @property
    def name(self) -> str:
        return self.tell.__name__


STORIES: dict[str, Story] = {}


def story(
    saga: type[Saga[Any, Any]], data: Any, stored: SagaStatus, ends: SagaStatus, ask: e.OperatorAsked | None = None
) -> Callable[[Callable[[World], None]], Callable[[World], None]]:
    def note(tell: Callable[[World], None]) -> Callable[[World], None]:
        told = Story(tell=tell, saga=saga, data=data, stored=stored, ends=ends, ask=ask)
        STORIES[told.name] = told
        return tell

    return note


def shipped(world: World) -> None:
    world.take(e.Nudged())
    world.succeed("reserve", "charge", "ship")


def paid(world: World) -> None:
    world.take(e.Nudged())
    world.succeed("hotel", "car", "insurance", "pay")


# ------------------------------------------------------------------------------------------------------------- forward


@story(OrderSaga, TEA, SagaStatus.PENDING, DONE)
def pending(world: World) -> None:
    pass


@story(OrderSaga, TEA, DONE, DONE)
def completed(world: World) -> None:
    shipped(world)
    world.succeed("label")


@story(OrderSaga, TEA, SagaStatus.RUNNING, DONE)
def under_way(world: World) -> None:
    world.take(e.Nudged())
    world.begin("reserve")
    world.succeed("reserve")
    world.begin("charge")


@story(OrderSaga, Order("tea", 5000), SagaStatus.RUNNING, DONE)
def resting(world: World) -> None:
    world.take(e.Nudged())
    world.fail("reserve")


@story(TripSaga, "Lisbon", SagaStatus.RUNNING, DONE)
def side_by_side(world: World) -> None:
    world.take(e.Nudged())
    world.succeed("car")


@story(OrderSaga, TEA, SagaStatus.RUNNING, DONE)
def probing(world: World) -> None:
    world.take(e.Nudged())
    world.succeed("reserve")
    world.lose("charge")
    world.answer("charge", e.Verdict.NEVER)


@story(OrderSaga, TEA, SagaStatus.RUNNING, DONE)
def ruled_out(world: World) -> None:
    probing(world)
    world.answer("charge", e.Verdict.NEVER)


@story(BasketSaga, ["tea", "jam", "ham", "egg"], SagaStatus.RUNNING, DONE)
def list_under_way(world: World) -> None:
    world.take(e.Nudged())
    world.succeed("pick[2]")
    world.lose("pick[1]")


# ------------------------------------------------------------------------------------------------------------ backward


@story(BasketSaga, ["tea", "jam", "ham", "egg", "oil"], BACK, UNDONE)
def list_half_way_back(world: World) -> None:
    world.take(e.Nudged())
    world.succeed("pick[1]", "pick[2]")
    world.fail("pick[3]")
    world.succeed("pick[4]")
    world.succeed("pick[4]", direction=UNDO)


@story(BasketSaga, ["tea", "jam"], UNDONE, UNDONE)
def list_undone(world: World) -> None:
    world.take(e.Nudged())
    world.fail("pick[1]")
    world.succeed("pick[2]")
    world.succeed("pick[2]", direction=UNDO)


@story(OrderSaga, TEA, BACK, UNDONE)
def half_way_back(world: World) -> None:
    world.take(e.Nudged())
    world.succeed("reserve", "charge")
    world.fail("ship")
    world.rest("ship")
    world.fail("ship")
    world.succeed("charge", direction=UNDO)


@story(OrderSaga, Order("gift", 0), BACK, UNDONE)
def nothing_to_refund(world: World) -> None:
    world.take(e.Nudged())
    world.succeed("reserve", "charge")
    world.fail("ship")
    world.rest("ship")
    world.fail("ship")
    world.fail("reserve", UNDO)


@story(OrderSaga, TEA, BACK, UNDONE)
def undone_blindly(world: World) -> None:
    world.take(e.Nudged())
    world.succeed("reserve")
    world.fail("charge")
    world.rest("charge")
    world.fail("charge")


@story(OrderSaga, TEA, BACK, UNDONE)
def declined(world: World) -> None:
    world.take(e.Nudged())
    world.succeed("reserve")
    world.fail("charge", kind="billing.CardDeclined")


@story(TripSaga, "Lisbon", SagaStatus.RUNNING, UNDONE)
def cancelled_in_flight(world: World) -> None:
    world.take(e.Nudged())
    world.succeed("hotel")
    world.take(asks(e.Verb.CANCEL))


@story(TripSaga, "Lisbon", UNDONE, UNDONE)
def called_off(world: World) -> None:
    """Its first steps had their turn, but the worker had not the class."""
    world.unable.handle(world.saga_id, e.Nudged())
    world.take(asks(e.Verb.CANCEL))


@story(OrderSaga, TEA, SagaStatus.RUNNING, DONE)
def overdue(world: World) -> None:
    """The deadline met the pivot in flight, which took effect."""
    world.take(e.Nudged())
    world.succeed("reserve", "charge")
    world.take(e.DeadlinePassed())
    world.succeed("ship")


# -------------------------------------------------------------------------------------------------- waits and children


@story(RentalSaga, 500, SagaStatus.RUNNING, DONE)
def waiting(world: World) -> None:
    world.take(e.Nudged())


@story(RentalSaga, 5000, SagaStatus.RUNNING, DONE)
def answered_before_it_was_asked(world: World) -> None:
    world.take(e.Nudged())
    world.send("approve", event_id="e-1", payload=True)


@story(RentalSaga, 500, SagaStatus.RUNNING, DONE)
def child_under_way(world: World) -> None:
    waiting(world)
    world.send("approve", event_id="e-1", payload=True)
    world.rest("cool_off")


@story(RentalSaga, 500, SagaStatus.RUNNING, UNDONE)
def cancelled_with_its_child(world: World) -> None:
    child_under_way(world)
    world.take(asks(e.Verb.CANCEL))


@story(RentalSaga, 500, BACK, UNDONE)
def child_to_be_undone(world: World) -> None:
    child_under_way(world)
    world.run_others()
    world.fail("tell")


# ----------------------------------------------------------------------------------------------------------- reopened


@story(OrderSaga, TEA, SagaStatus.RUNNING, DONE, asks(e.Verb.RESUME))
def suspended(world: World) -> None:
    """Resumed once before; what was under way is known meanwhile."""
    world.take(e.Nudged(), asks(e.Verb.SUSPEND), asks(e.Verb.RESUME), asks(e.Verb.SUSPEND))
    world.succeed("reserve")


@story(TripSaga, "Lisbon", BACK, UNDONE)
def undone_on_request(world: World) -> None:
    paid(world)
    world.succeed("tell")
    world.take(asks(e.Verb.COMPENSATE))


@story(OrderSaga, TEA, SagaStatus.RUNNING, DONE)
def run_again(world: World) -> None:
    declined(world)
    world.succeed("reserve", direction=UNDO)
    world.take(asks(e.Verb.RERUN, step="reserve"), e.Nudged())
    world.succeed("reserve")


@story(OrderSaga, TEA, SagaStatus.RUNNING, DONE)
def edited(world: World) -> None:
    exhausted(world)
    world.take(asks(e.Verb.RETRY, step="label", args=("parcel 2",)))


# -------------------------------------------------------------------------------------------------------------- parked


@story(OrderSaga, TEA, PARKED, DONE, asks(e.Verb.RETRY))
def exhausted(world: World) -> None:
    shipped(world)
    world.fail("label")


@story(OrderSaga, TEA, PARKED, UNDONE, asks(e.Verb.RETRY))
def undoing_exhausted(world: World) -> None:
    undone_blindly(world)
    world.fail("charge", UNDO)


@story(OrderSaga, TEA, BACK, UNDONE)
def undoing_skipped(world: World) -> None:
    undoing_exhausted(world)
    world.take(asks(e.Verb.SKIP))


@story(TripSaga, "Lisbon", PARKED, DONE, asks(e.Verb.RESOLVE, resolution=e.Resolution.DONE, result="p-1"))
def in_doubt(world: World) -> None:
    world.take(e.Nudged())
    world.succeed("hotel", "car", "insurance")
    world.lose("pay")


@story(TripSaga, "Lisbon", PARKED, UNDONE, asks(e.Verb.RESOLVE, resolution=e.Resolution.DONE))
def undoing_in_doubt(world: World) -> None:
    paid(world)
    world.fail("tell")
    world.lose("pay", UNDO)


@story(OrderSaga, Order("ghost", 1), PARKED, DONE, asks(e.Verb.SKIP))
def render_failed(world: World) -> None:
    shipped(world)


@story(OrderSaga, TEA, PARKED, DONE)
def class_missing(world: World) -> None:
    world.wait_in_vain(1500)


@story(TripSaga, "Lisbon", UNDONE, UNDONE, asks(e.Verb.RESOLVE))
def took_effect_after_the_end(world: World) -> None:
    paid(world)
    world.fail("tell")
    world.fail("tell")  # a late copy of the same
    world.succeed("pay", direction=UNDO)
    world.succeed("hotel", "car", direction=UNDO)
    world.take(e.AttemptSucceeded(slot=Slot("tell"), attempt=1, result="late"))


@story(TripSaga, "Lisbon", UNDONE, UNDONE)
def dismissed(world: World) -> None:
    took_effect_after_the_end(world)
    world.take(asks(e.Verb.RESOLVE))
