"""What is kept of an exception, however badly it behaves."""

from saga_celery.engine.failures import LONGEST_MESSAGE, MOST_LINES, failure_named, failure_of


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class StandIn(Exception):
    """Stands for an earlier exception, as the barrier's stored failures do."""

    saga_failure_type = "billing.CardDeclined"
    saga_failure_types = ("billing.CardDeclined", "CardDeclined")


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_an_exception_that_can_not_be_printed_is_kept_all_the_same():
    failure = failure_of(raised(Unprintable()), step="pay")

    assert failure.type.endswith("Unprintable")
    assert failure.message == "(the exception can not be printed)"
    assert "Unprintable" in failure.traceback
    assert failure.step == "pay"


def test_names_of_the_type_and_its_ancestors_are_what_fatal_matches():
    assert failure_of(raised(KeyError("x"))).types == ("KeyError", "LookupError", "Exception")


def test_a_stand_in_brings_the_names_of_the_first_exception():
    failure = failure_of(raised(StandIn("declined")))

    assert (failure.type, failure.types) == ("billing.CardDeclined", ("billing.CardDeclined", "CardDeclined"))


def test_what_is_long_is_cut_to_what_is_nearest_to_the_cause():
    def deep(level: int) -> None:
        if level:
            deep(level - 1)
        raise ValueError("x" * 10_000)

    try:
        deep(40)
    except ValueError as error:
        failure = failure_of(error)
    assert len(failure.message) == LONGEST_MESSAGE
    assert len(failure.traceback.splitlines()) <= MOST_LINES


def test_a_failure_for_which_nothing_was_raised():
    assert failure_named("TaskReplaced", "why", step="a").types == ("saga_celery.TaskReplaced", "TaskReplaced")
