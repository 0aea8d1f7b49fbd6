"""`saga check`: would the open sagas strand on the classes of today?"""

import pytest
from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery import Retry, Saga, check_open_sagas, step
from saga_celery.core import events as e
from saga_celery.core.states import Direction, SagaStatus, Slot
from saga_celery.definition import registry
from tests.cli.conftest import Order, define

ORDERED = Order(sku="tea", cents=5)


@pytest.fixture
def deploy(shop):
    """Put other classes in the place of those of yesterday."""

    def deploy(make=None):
        registry._sagas.clear()
        if make is not None:
            make()

    return deploy


def begun(shop, **options):
    saga_id = shop.start(**options)
    shop.news(saga_id, e.Nudged())
    return saga_id


def only(shop, *, exit_code, name="shop.order"):
    """What is said of the plan of one saga."""
    result = shop("check")
    assert result.exit_code == exit_code, result.output
    [found] = [each for each in shop.json("check") if each["name"] == name and "plan" in each]
    return found


def told(found):
    return {(each["kind"], each["step"]): (each["sagas"], each["strands"]) for each in found["differences"]}


# -------------------------------------------------------------------------------------------------------------- fine


def test_nothing_open_is_fine(shop):
    shop.completed()
    shop.compensated()
    result = shop("check")
    assert (result.exit_code, result.stderr) == (0, "0 open sagas, none of them would park\n")
    assert result.stdout == "shop.order: can only park when their outcome is unknown: tell\n"
    assert shop.json("check") == [{"name": "shop.order", "can_only_park": ["tell"]}]


def test_the_classes_as_they_were_are_fine(shop, deploy):
    begun(shop), shop.in_doubt(), shop.undoing(), shop.exhausted()
    deploy(define)
    found = only(shop, exit_code=0)
    assert (found["open"], found["examined"], found["would_park"], found["differences"]) == (3, 3, 0, [])
    assert found["plan"] == registry.find("shop.order").definition().plan.hash
    assert "shop.order, plan " in shop("check").stdout


def test_it_only_reads_and_needs_the_tables(shop, unmigrated):
    begun(shop)
    before = shop.sagas.store.connections.engine.connect().exec_driver_sql("SELECT * FROM saga").all()
    shop("check")
    assert shop.sagas.store.connections.engine.connect().exec_driver_sql("SELECT * FROM saga").all() == before


def test_tables_that_are_missing_are_told(unmigrated):
    assert unmigrated("check").exit_code == 3


# -------------------------------------------------------------------------------------------------------------- gone


def without_tell():
    class OrderSaga(Saga[Order]):
        name = "shop.order"

        @step
        def charge(self, order: Order) -> Signature[str]:
            return self.task("card.charge", order.cents, key=self.key())

        @charge.compensate
        def refund(self, order: Order, charge: str) -> Signature[None]:
            return self.task("card.refund", charge)


def test_a_step_that_is_gone_strands_those_that_have_yet_to_run_it(shop, deploy):
    first, second = begun(shop), shop.start()
    shop.undoing(), shop.in_doubt()  # one goes back, the other has sent its `tell`
    deploy(without_tell)
    found = only(shop, exit_code=1)
    assert told(found) == {("step_gone", "tell"): (2, True)}
    assert (found["open"], found["examined"], found["would_park"]) == (4, 4, 2)
    [gone] = found["differences"]
    assert gone["example"] in (first, second)
    assert gone["fix"] == (
        "put it back until they have ended, or write renamed_from='tell' on the step that does its work now"
    )
    text = shop("check").stdout
    assert "4 open: 2 would park" in text
    assert "PARK step 'tell' is gone; 2 open sagas still need it (such as" in text


def test_and_it_is_right(shop, deploy):
    """Exactly those park that it said would."""
    ids = [begun(shop), begun(shop), shop.in_doubt(), shop.undoing()]
    deploy(without_tell)
    found = only(shop, exit_code=1)
    for saga_id in ids[:2]:
        shop.succeed(saga_id, "charge", "c-1")
    shop.news(ids[3], e.AttemptSucceeded(slot=Slot("charge", 0, Direction.COMPENSATION), attempt=1))
    parked = [saga_id for saga_id in ids if shop.sagas.store.load(saga_id).status is SagaStatus.FAILED]
    assert parked == ids[:3], "the third one was parked before"
    assert found["would_park"] == 2


def test_a_step_that_is_gone_and_needed_by_nobody_is_only_told(shop, deploy):
    shop.undoing()
    deploy(without_tell)
    found = only(shop, exit_code=0)
    assert told(found) == {("step_gone", "tell"): (0, False)}
    assert "none of these sagas needs it any more" in found["differences"][0]["text"]


def test_a_compensation_that_is_gone_strands_those_that_have_it_ahead(shop, deploy):
    begun(shop)
    shop.undoing()

    def without_refund():
        class OrderSaga(Saga[Order]):
            name = "shop.order"

            @step(pivot=True)
            def charge(self, order: Order) -> Signature[str]: ...

            @step
            def tell(self, order: Order) -> Signature[str]: ...

    deploy(without_refund)
    found = only(shop, exit_code=1)
    assert told(found) == {("compensation_gone", "charge"): (1, True), ("pivot_moved", "charge"): (0, False)}
    assert "is gone, as it is the pivot or behind it now" in found["differences"][0]["text"]
    assert "step 'charge' became the pivot; these sagas keep" in found["differences"][1]["text"]


def test_a_probe_that_is_gone_strands_those_under_way_with_it(shop, deploy):
    def probed(probe=True):
        class Asked(Saga[Order]):
            name = "shop.asked"

            @step(no_compensation="x")
            def charge(self, order: Order) -> Signature[str]:
                return self.task("charge")

            if probe:

                @charge.probe
                def ask(self, order: Order) -> Signature[str | None]:
                    return self.task("ask")

    probed()
    begun(shop, name="shop.asked")
    shop.start("shop.asked")
    registry._sagas.clear()
    probed(probe=False)
    found = only(shop, exit_code=1, name="shop.asked")
    assert told(found) == {("probe_gone", "charge"): (1, True)}
    assert found["examined"] == 2, "what is not sent yet will be sent without a probe"


def test_a_class_that_is_gone_strands_all(shop, deploy):
    begun(shop), shop.undoing()
    deploy()
    found = only(shop, exit_code=1)
    assert told(found) == {("class_gone", ""): (2, True)}
    assert "write renamed_from = 'shop.order' in the class" in found["differences"][0]["fix"]


# ----------------------------------------------------------------------------------------------------------- renamed


def renamed(old="tell", charged=str):
    class Bought(Saga[Order, str]):
        name = "shop.bought"
        renamed_from = "shop.order"

        @step
        def charge(self, order: Order) -> Signature[charged]:
            return self.task("card.charge", order.cents, key=self.key())

        @charge.compensate
        def refund(self, order: Order, charge: charged) -> Signature[None]:
            return self.task("card.refund", charge)

        @step(no_compensation="only a message", renamed_from=old)
        def mail(self, order: Order, charge: charged) -> Signature[str]:
            return self.task("mail.tell", order.sku)

        def result(self, order: Order, mail: str) -> str:
            return mail


def test_a_renamed_step_of_a_renamed_saga_goes_on(shop, deploy):
    saga_id = begun(shop, key="k-1")
    deploy(renamed)
    assert told(only(shop, exit_code=0)) == {("step_renamed", "tell"): (0, False)}
    shop.succeed(saga_id, "charge", "c-1")
    state = shop.succeed(saga_id, "tell", "told")
    assert (state.status, state.result) == (SagaStatus.COMPLETED, "told")
    saga = registry.find("shop.bought")
    assert saga.get("k-1").id == saga.get(saga_id).id == saga_id, "found by the key of its old name"
    assert saga.get("k-1").result() == "told"


def test_without_the_old_name_it_would_park(shop, deploy):
    begun(shop)
    deploy(lambda: renamed(old=()))
    assert told(only(shop, exit_code=1)) == {
        ("step_gone", "tell"): (1, True),
        ("step_added", "mail"): (0, False),
        ("result_missing", ""): (1, True),
    }


def test_two_planned_steps_that_one_method_would_run(shop, deploy):
    def merged():
        class OrderSaga(Saga[Order]):
            name = "shop.order"

            @step(no_compensation="x", renamed_from="charge")
            def tell(self, order: Order) -> Signature[str]: ...

    shop.start()
    deploy(merged)
    found = only(shop, exit_code=1)
    assert told(found) == {("run_twice", "charge"): (1, True)}
    assert found["differences"][0]["fix"] == "put 'charge' back as a step"


# ----------------------------------------------------------------------------------------------- added, moved, results


def wider():
    class OrderSaga(Saga[Order, str]):
        name = "shop.order"

        @step(no_compensation="x")
        def greet(self, order: Order) -> Signature[str]:
            return self.task("mail.greet")

        @step(retry=Retry(attempts=5))
        def charge(self, order: Order) -> Signature[str]:
            return self.task("card.charge", order.cents)

        @charge.compensate
        def refund(self, order: Order, charge: str) -> Signature[None]:
            return self.task("card.refund", charge)

        @step
        def tell(self, order: Order) -> Signature[str]:
            return self.task("mail.tell", order.sku)

        @tell.compensate
        def untell(self, order: Order) -> Signature[None]:
            return self.task("mail.untell", order.sku)

        def result(self, order: Order, tell: str) -> str:
            return tell


def test_what_was_added_is_for_new_sagas_only(shop, deploy):
    begun(shop)
    deploy(wider)
    found = only(shop, exit_code=0)
    assert told(found) == {("step_added", "greet"): (0, False), ("compensation_added", "tell"): (0, False)}
    assert "  NOTE step 'greet' was added; only new sagas run it" in shop("check").stdout


def test_a_method_may_not_take_what_its_plan_has_not(shop, deploy):
    def greedy():
        class OrderSaga(Saga[Order]):
            name = "shop.order"

            @step(no_compensation="x")
            def greet(self, order: Order) -> Signature[str]: ...

            @step(no_compensation="x")
            def tell(self, order: Order) -> Signature[str]: ...

            @step
            def charge(self, order: Order, tell: str, greet: str) -> Signature[str]: ...

            @charge.compensate
            def refund(self, order: Order, charge: str) -> Signature[None]: ...

    shop.start()
    deploy(greedy)
    found = only(shop, exit_code=1)
    assert told(found) == {("result_missing", "charge"): (1, True), ("step_added", "greet"): (0, False)}
    assert "takes the result of 'tell', which in this plan does not come before it" in found["differences"][0]["text"]


def test_another_order_and_a_pivot_that_is_none_any_more_are_told(shop, deploy):
    def other():
        class OrderSaga(Saga[Order]):
            name = "shop.order"

            @step(no_compensation="x")
            def tell(self, order: Order) -> Signature[str]: ...

            @step
            def charge(self, order: Order) -> Signature[str]: ...

            @charge.compensate
            def refund(self, order: Order, charge: str) -> Signature[None]: ...

        class ParcelSaga(Saga[Order]):
            name = "shop.parcel"

            @step(no_compensation="x")
            def ship(self, order: Order) -> Signature[str]: ...

            @step(no_compensation="x")
            def label(self, order: Order) -> Signature[str]: ...

    shop.start(), shop.start("shop.parcel")
    deploy(other)
    assert told(only(shop, exit_code=0)) == {("order_changed", ""): (0, False)}
    assert told(only(shop, exit_code=0, name="shop.parcel")) == {("pivot_moved", "ship"): (0, False)}


# ---------------------------------------------------------------------------------------------------------- undecodable


class Receipt(BaseModel):
    number: int


def test_results_that_can_not_be_decoded_any_more(shop, deploy):
    ids = [begun(shop) for _ in range(3)]
    for saga_id in ids[:2]:
        shop.succeed(saga_id, "charge", "c-1")
    deploy(lambda: renamed(charged=Receipt))
    assert told(only(shop, exit_code=0)) == {("step_renamed", "tell"): (0, False)}, "`tell` is sent, `refund` rendered"

    deploy(define)
    parked = begun(shop)
    shop.sagas.operator().handle(parked, e.AttemptSucceeded(slot=Slot("charge"), attempt=1, result="c-1"))
    deploy(lambda: renamed(charged=Receipt))
    found = only(shop, exit_code=1)
    assert told(found) == {
        ("undecodable", "charge"): (1, True),
        ("undecodable", "tell"): (1, True),
        ("step_renamed", "tell"): (0, False),
    }
    assert found["would_park"] == 1
    text = found["differences"][0]["text"]
    assert "refund can not read the stored result of 'charge': it does not fit Receipt" in text
    assert "c-1" not in shop("check").output + shop("check", "--json").output
    assert shop("check", "--sample", "0").exit_code == 0


def test_input_that_can_not_be_decoded_any_more(shop, deploy):
    class Bigger(BaseModel):
        sku: str
        cents: int
        customer: str

    def bigger():
        class OrderSaga(Saga[Bigger]):
            name = "shop.order"

            @step
            def charge(self, order: Bigger) -> Signature[str]: ...

            @charge.compensate
            def refund(self, order: Bigger, charge: str) -> Signature[None]: ...

            @step(no_compensation="x")
            def tell(self, order: Bigger) -> Signature[str]: ...

    shop.start()
    deploy(bigger)
    found = only(shop, exit_code=1)
    assert told(found) == {("undecodable", ""): (1, True)}
    assert "customer: Field required" in found["differences"][0]["text"]


def test_where_the_class_is_whole_a_sample_is_looked_at(shop, deploy):
    for _ in range(4):
        shop.start()
    deploy(define)
    [found] = [each for each in shop.json("check", "--sample", "3") if "plan" in each]
    assert (found["open"], found["examined"]) == (4, 3)


# --------------------------------------------------------------------------------------------------------- in Python


def test_it_is_a_function_for_tests_of_a_deploy(shop, deploy):
    begun(shop)
    assert check_open_sagas(shop.sagas).fine
    deploy()
    checked = check_open_sagas(shop.sagas)
    assert not checked.fine
    [plan] = checked.plans
    assert (plan.name, plan.open, plan.would_park) == ("shop.order", 1, 1)
    assert not checked.only_parking
