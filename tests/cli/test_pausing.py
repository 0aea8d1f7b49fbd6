"""`saga pause`, `saga unpause`, and where a pause shows."""

import pytest

from saga_celery.core import events as e
from saga_celery.engine.ports import Awaited
from saga_celery.errors import InputRejected, Refused

DOWN = ("--reason", "gateway down", "--actor", "ann")


@pytest.fixture
def held(shop):
    """A saga whose first message is held."""
    assert shop("pause", "--task", "card.charge", *DOWN).exit_code == 0
    saga_id = shop.start(key="k")
    shop.news(saga_id, e.Nudged())
    return saga_id


def awaited(shop, saga_id):
    return [(wait.slot.step, wait.awaited) for wait in shop.sagas.store.queries.snapshot(saga_id).awaited]


def test_a_pause_says_what_it_does(shop):
    result = shop("pause", "--task", "card.charge", *DOWN)
    assert result.stdout == (
        "paused: task card.charge since 2030-01-01T12:00:00.000Z (0.0 s ago) by ann: gateway down; "
        "every worker holds it within 2 s\n"
    )
    assert shop.sagas.pauses()[0].name == "card.charge"


def test_a_second_pause_is_the_first(shop):
    shop("pause", "--name", "shop.*", *DOWN)
    shop.clock.turn(60)
    again = shop.json("pause", "--name", "shop.*", "--reason", "other", "--actor", "bob")
    assert again == [
        {
            "kind": "name",
            "name": "shop.*",
            "since": "2030-01-01T12:00:00.000Z",
            "actor": "ann",
            "reason": "gateway down",
        }
    ]


def test_what_was_held_is_due_when_the_pause_ends(shop, held):
    assert awaited(shop, held) == [("charge", Awaited.HELD)]
    assert shop("unpause", "--task", "card.charge", *DOWN).stdout == "unpaused: task card.charge\n"
    shop.sagas.sweeper().tick()
    assert awaited(shop, held) == [("charge", Awaited.START)]
    assert shop.sagas.store.load(held).step("charge").action.tries == 1
    assert shop.sagas.pauses() == []


def test_unpause_as_json(shop):
    shop("pause", "--name", "shop.order", *DOWN)
    assert shop.json("unpause", "--name", "shop.order", *DOWN) == [{"kind": "name", "name": "shop.order"}]


def test_what_is_not_paused_is_refused_with_what_is(shop):
    shop("pause", "--task", "card.*", *DOWN)
    result = shop("unpause", "--task", "card.charge", *DOWN)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: task 'card.charge' is not paused; paused are: task card.*\n"


@pytest.mark.parametrize("verb", ["pause", "unpause"])
@pytest.mark.parametrize("what", [(), ("--task", "a", "--name", "b")])
def test_one_of_name_and_task_is_needed(shop, verb, what):
    result = shop(verb, *what, *DOWN)
    assert result.exit_code == 2
    assert "one of the two" in result.stderr


@pytest.mark.parametrize("verb", ["pause", "unpause"])
def test_a_reason_is_needed(shop, verb):
    assert shop(verb, "--task", "a").exit_code == 2
    assert shop(verb, "--task", "a", "--reason", " ").exit_code == 2


@pytest.mark.parametrize("name", ["", " ", "x" * 201])
def test_what_can_be_no_name_is_refused(shop, name):
    result = shop("pause", "--task", name, *DOWN)
    assert result.exit_code == 2
    assert "of 1 to 200 characters" in result.stderr


@pytest.mark.parametrize("verb", ["pause", "unpause"])
def test_the_same_from_python(shop, verb):
    with pytest.raises(InputRejected, match="one of the two"):
        getattr(shop.sagas, verb)(reason="r")
    with pytest.raises(InputRejected, match="one of the two"):
        getattr(shop.sagas, verb)(name="a", task="b", reason="r")
    with pytest.raises(Refused, match="say why"):
        getattr(shop.sagas, verb)(name="a", reason=" ")
    assert shop.sagas.pauses() == []


def test_the_process_that_pauses_knows_at_once(shop):
    shop.news(shop.start(), e.Nudged())
    shop.sagas.pause(task="card.charge", reason="r")
    second = shop.start()
    shop.news(second, e.Nudged())
    assert awaited(shop, second) == [("charge", Awaited.HELD)]
    shop.sagas.unpause(task="card.charge", reason="r")
    third = shop.start()
    shop.news(third, e.Nudged())
    assert awaited(shop, third) == [("charge", Awaited.START)]


def test_show_tells_what_holds_the_saga(shop, held):
    shop.clock.turn(60)
    shop("pause", "--task", "parcel.*", *DOWN)
    page = shop("show", "k").stdout
    assert page.count("paused: ") == 1
    assert "paused: task card.charge since 2030-01-01T12:00:00.000Z (1 min ago) by ann: gateway down" in page
    assert "held by a pause, not sent yet" in page
    assert "under way" not in page
    assert "charge: attempt 1 of 5 is held for 1 min so far: not sent yet, and goes out when its pause ends" in page
    (record,) = shop.json("show", "k")
    assert [pause["name"] for pause in record["paused"]] == ["card.charge"]


def test_a_saga_of_a_paused_name_shows_it_from_its_first_moment_to_its_end(shop):
    done, new = shop.completed(), shop.start()
    shop("pause", "--name", "shop.order", *DOWN)
    assert "paused: name shop.order since" in shop("show", new).stdout
    assert "paused: " not in shop("show", done).stdout


def test_list_tells_of_pauses_beside_the_list(shop, held):
    result = shop("list")
    assert "paused: task card.charge since" in result.stderr
    assert len(shop.json("list")) == 1


def test_doctor_reminds_of_pauses_and_how_to_end_them(shop, held):
    (found,) = [each for each in shop.json("doctor") if each["subject"] == "paused"]
    assert found["level"] == "NOTE"
    assert found["text"] == "task card.charge since 2030-01-01T12:00:00.000Z (0.0 s ago) by ann: gateway down"
    assert found["fix"].endswith("unpause --task card.charge --reason ''")
