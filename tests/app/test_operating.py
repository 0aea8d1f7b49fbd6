"""What the desk refuses of an operator's verb, which the state alone would allow."""

from dataclasses import dataclass

import pytest
from celery import Celery
from celery.canvas import Signature

from saga_celery import Saga, SagaApp, step
from saga_celery.core import events as e
from saga_celery.core.states import SagaStatus, Slot
from saga_celery.definition import desk, registry
from saga_celery.errors import InputRejected, Refused
from saga_celery.store.migrate import migrate


def test_what_became_of_many_may_be_said_as_text(errands):
    handle = errands.running()[0]
    errands.lose(handle)
    parked = errands.sagas.sagas.where(state="FAILED")
    with pytest.raises(InputRejected, match=r"resolution='bogus'; it is one of 'done', 'never'"):
        parked.resolve(resolution="bogus", reason="looked")
    assert [done.state for done in parked.resolve(resolution="never", reason="looked")] == [SagaStatus.COMPENSATED]


def test_an_empty_filter_may_be_counted_but_not_operated(errands):
    errands.running(2)
    assert errands.sagas.sagas.where().count() == 2
    with pytest.raises(InputRejected, match=r"cancel: every saga of the database would be touched.*everything=True"):
        errands.sagas.sagas.where().cancel(reason="cleaning up")
    told = errands.sagas.sagas.where(everything=True).suspend(reason="cleaning up")
    assert [done.done for done in told] == [True, True]


# ------------------------------------------------------------------------------------------------------------- results


@pytest.fixture
def baker(database_url, monkeypatch):
    """An app with a saga whose third step and result take what the second one returned."""
    monkeypatch.setattr(registry, "_sagas", {})
    monkeypatch.setattr(desk, "_bound", [])
    app = Celery("bakery", broker="memory://", set_as_current=False)
    app.conf.saga_database_url = database_url
    app.conf.saga_payload_limit = 1000
    sagas = SagaApp(app)
    migrate(sagas.store.connections)

    class Bake(Saga[int, str]):
        name = "bakery.bake"

        @step(pivot=True)
        def knead(self, number: int) -> Signature[int]:
            return self.task("knead", number)

        @step(no_compensation="eaten")
        def bake(self, number: int) -> Signature[str]:
            return self.task("bake", number)

        @step(no_compensation="eaten")
        def sell(self, number: int, bake: str) -> Signature[int]:
            return self.task("sell", bake)

        @step(no_compensation="eaten")
        def weigh(self, number: int) -> list[Signature[int]]:
            return [self.task("weigh", each) for each in range(2)]

        def result(self, number: int, bake: str, weigh: list[int]) -> str:
            return f"{bake} {sum(weigh)}"

    yield Bakery(sagas, Bake)
    sagas.dispose()


@dataclass
class Bakery:
    sagas: SagaApp
    saga: type[Saga[int, str]]

    def news(self, handle, *news):
        for each in news:
            assert self.sagas.coordinator(parks_render_failures=True).handle(handle.id, each) is not None

    def baking(self):
        handle = self.saga.start(1)
        self.news(handle, e.Nudged(), done("knead", 1))
        return handle

    def in_doubt(self):
        handle = self.baking()
        self.news(handle, e.AttemptLost(slot=Slot("bake"), attempt=1, reason="worker w1 died"))
        return handle

    def unfit(self):
        """The task returned a number where its author promised a text."""
        handle = self.baking()
        self.news(handle, done("bake", 7))
        assert handle.state is SagaStatus.FAILED
        return handle


def done(name, result, item=0):
    return e.AttemptSucceeded(slot=Slot(name, item), attempt=1, result=result)


UNFIT = [
    (
        {},
        r"step 'bake' of .*Bake returns str, but no result is supplied; supply one that fits with result=… \(--result",
    ),
    ({"result": 7}, r"step 'bake' of .*Bake returns str, but it does not fit str"),
    ({"result": object()}, r"the result: .*object"),
    ({"result": float("nan")}, r"the result: it holds nan"),
    ({"result": "x" * 2000}, r"the result is 2002 bytes of JSON; saga_payload_limit allows 1000"),
]


@pytest.mark.parametrize(("given", "complaint"), UNFIT)
def test_a_step_that_was_done_needs_a_result_of_its_type(baker, given, complaint):
    handle = baker.in_doubt()
    with pytest.raises(InputRejected, match=complaint):
        handle.resolve("bake", resolution="done", reason="looked", **given)
    assert handle.state is SagaStatus.FAILED
    assert handle.resolve("bake", resolution="done", result="loaf", reason="looked") is SagaStatus.RUNNING


def test_what_is_skipped_needs_a_result_where_others_take_it(baker):
    handle = baker.in_doubt()
    with pytest.raises(InputRejected, match=r"sell takes the result of 'bake' as str, but no result is supplied"):
        handle.skip("bake", reason="by hand")
    with pytest.raises(InputRejected, match="returns str, but it does not fit str"):
        handle.skip("bake", result=7, reason="by hand")
    assert handle.skip("bake", result="loaf", reason="by hand") is SagaStatus.RUNNING


def test_what_is_skipped_needs_none_where_nobody_takes_it(baker):
    handle = baker.baking()
    baker.news(handle, done("bake", "loaf"), e.AttemptLost(slot=Slot("sell"), attempt=1, reason="gone"))
    assert handle.state is SagaStatus.FAILED
    assert handle.skip("sell", reason="given away") is SagaStatus.RUNNING


def test_an_item_that_is_skipped_is_seen_in_the_list_that_it_is_in(baker):
    handle = baker.baking()
    lost = e.AttemptLost(slot=Slot("weigh", 2), attempt=1, reason="gone")
    baker.news(handle, done("bake", "loaf"), done("sell", 3), done("weigh", 5, 1), lost)
    with pytest.raises(InputRejected, match=r"result takes the result of 'weigh\[2\]' as list\[int\], but no result"):
        handle.skip("weigh[2]", reason="by hand")
    handle.skip("weigh[2]", result=6, reason="by hand")
    baker.news(handle, e.Nudged())
    assert handle.result() == "loaf 11"


def test_who_has_no_class_of_the_saga_takes_what_is_given(baker):
    handle = baker.in_doubt()
    registry._sagas.clear()
    assert handle.resolve("bake", resolution="done", result=7, reason="looked") is SagaStatus.RUNNING


def test_a_result_that_does_not_fit_is_replaced_by_one_that_does(baker):
    handle = baker.unfit()
    with pytest.raises(InputRejected, match="returns str, but it does not fit str"):
        handle.resolve("bake", result=8, reason="it was a text")
    with pytest.raises(
        Refused, match="nothing that is parked takes the result of step 'knead', so it stays what it is"
    ):
        handle.resolve("knead", result=8, reason="it was a text")
    assert handle.resolve("bake", result="loaf", reason="it was a text") is SagaStatus.RUNNING
    baker.news(handle, e.Nudged(), done("sell", 3), done("weigh", 5, 1), done("weigh", 6, 2))
    assert handle.result() == "loaf 11"


def test_a_whole_list_is_replaced_as_a_list(baker):
    handle = baker.baking()
    baker.news(handle, done("bake", "loaf"), done("sell", 3), done("weigh", "x", 1), done("weigh", 6, 2))
    assert handle.state is SagaStatus.FAILED
    with pytest.raises(InputRejected, match="returns int, but it does not fit int"):
        handle.resolve("weigh", result=["y", 6], reason="read the scales")
    handle.resolve("weigh", result=[5, 6], reason="read the scales")
    baker.news(handle, e.Nudged())
    assert handle.result() == "loaf 11"


def test_a_saga_that_turns_round_needs_no_result_of_what_is_skipped(errands):
    handle = errands.running()[0]
    handle.cancel(reason="not wanted any more")
    errands.lose(handle)
    assert handle.skip("only", reason="never mind") is SagaStatus.COMPENSATED
