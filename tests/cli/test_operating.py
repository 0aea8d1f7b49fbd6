"""`saga retry`, `skip`, `resolve`, `cancel`."""

import pytest

from saga_celery.core import events as e
from saga_celery.core.states import Slot


def acted(shop, saga_id):
    """Who did what, by the history."""
    facts = [fact for entry in shop.sagas.store.queries.history(saga_id) for fact in entry.facts]
    return [(f.verb.value, f.actor, f.reason, f.step) for f in facts if isinstance(f, e.OperatorActed)]


def test_retry_sends_again_and_records_who_and_why(shop):
    saga_id = shop.exhausted(key="k")
    result = shop("retry", "k", "--reason", "printer mended", "--actor", "ann", "--step", "label")
    assert (result.exit_code, result.stdout) == (0, "retry: shop.parcel k is RUNNING\n")
    assert acted(shop, saga_id) == [("retry", "ann", "printer mended", "label")]


def test_skip_takes_a_result(shop):
    saga_id = shop.exhausted()
    assert shop("skip", saga_id, "--reason", "by hand", "--result", '"L-1"').exit_code == 0
    assert shop.sagas.store.load(saga_id).step("label").result == "L-1"


@pytest.mark.parametrize("result", [[], ["--result", "7"]])
def test_a_result_that_is_missing_or_does_not_fit_is_refused_with_the_type(shop, result):
    saga_id = shop.in_doubt()
    refused = shop("resolve", saga_id, "--step", "tell", "--as", "done", *result, "--reason", "looked")
    assert refused.exit_code == 2
    assert "step 'tell' of define.<locals>.OrderSaga returns str" in refused.stderr
    assert "(--result of the command)" in refused.stderr


def test_a_result_that_does_not_fit_can_be_replaced(shop):
    saga_id = shop.start()
    shop.news(saga_id, e.Nudged())
    shop.succeed(saga_id, "charge", 7)  # a number, where its author promised a text: no refund can be made of it
    assert [letter.reason.value for letter in shop.sagas.store.load(saga_id).letters] == ["render_failed"]
    said = shop(
        "resolve", saga_id, "--step", "charge", "--result", '"c-7"', "--reason", "it was a text", "--actor", "ann"
    )
    assert said.stdout == f"resolve: shop.order {saga_id} is RUNNING\n"
    page = shop("show", saga_id, "--history").stdout
    assert 'charge: result replaced by ann, result "c-7"' in page


def test_resolve_says_what_became_of_it(shop):
    done, never = shop.in_doubt(), shop.in_doubt()
    assert shop.json("resolve", done, "--as", "done", "--result", '"told"', "--reason", "seen")[0]["state"] == "RUNNING"
    assert shop.sagas.store.load(done).step("tell").result == "told"
    assert shop.json("resolve", never, "--as", "never", "--reason", "not seen") == [
        {"id": never, "name": "shop.order", "verb": "resolve", "state": "COMPENSATING"}
    ]


def test_resolve_settles_a_late_effect_without_more_words(shop):
    saga_id = shop.compensated()
    shop.succeed(saga_id, "tell", "told")
    assert shop("dead-letters").stdout.count("late_effect") == 1
    assert shop("resolve", saga_id, "--reason", "undone by hand").exit_code == 0
    assert shop("dead-letters").stdout == ""


def test_cancel_turns_round(shop):
    saga_id = shop.start(key="k")
    shop.news(saga_id, e.Nudged())
    shop.succeed(saga_id, "charge", "c")
    shop.fail(saga_id, Slot("tell"))
    assert shop("cancel", "k", "--reason", "why").stdout == "cancel: shop.order k is COMPENSATING\n"
    assert shop("cancel", shop.start(), "--reason", "why").stdout.endswith("is COMPENSATED\n")


def test_the_user_of_the_system_acts_unless_said_otherwise(shop, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "bob")
    saga_id = shop.exhausted()
    shop("retry", saga_id, "--reason", "r")
    assert acted(shop, saga_id) == [("retry", "bob", "r", "")]


def test_a_system_without_users_asks_for_one(shop, monkeypatch):
    def nobody():
        raise OSError("no such user")

    monkeypatch.setattr("getpass.getuser", nobody)
    result = shop("retry", shop.exhausted(), "--reason", "r")
    assert result.exit_code == 2
    assert "--actor" in result.stderr


@pytest.mark.parametrize("verb", ["retry", "skip", "resolve", "cancel"])
def test_what_does_not_fit_is_refused_in_one_line(shop, verb):
    saga_id = shop.completed()
    result = shop(verb, saga_id, "--reason", "r")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {verb} saga {saga_id}: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize("reason", [[], ["--reason", " "]])
def test_a_reason_is_needed(shop, reason):
    assert shop("cancel", shop.start(), *reason).exit_code == 2


def test_a_result_goes_with_done(shop):
    saga_id = shop.in_doubt()
    assert shop("resolve", saga_id, "--result", "1", "--reason", "r").exit_code == 2
    assert shop("resolve", saga_id, "--as", "never", "--result", "1", "--reason", "r").exit_code == 2
    assert shop("resolve", saga_id, "--as", "maybe", "--reason", "r").exit_code == 2


@pytest.mark.parametrize(
    ("option", "given", "said"),
    [
        ("--args", '{"a": 1}', """{"a": 1} was given; it must be a JSON list: '[1, 2]'"""),
        ("--kwargs", "[1]", """[1] was given; it must be a JSON object: '{"cents": 5}'"""),
    ],
)
def test_arguments_of_another_kind_are_named_with_the_kind_that_is_needed(shop, option, given, said):
    refused = shop("retry", shop.exhausted(), "--step", "label", option, given, "--reason", "r")
    assert refused.exit_code == 2
    assert said in refused.stderr


def test_a_key_of_several_names_needs_the_name(shop):
    shop.start(key="k"), shop.start("shop.parcel", key="k")
    assert shop("cancel", "k", "--reason", "r").exit_code == 3
    assert shop("cancel", "k", "--reason", "r", "--name", "shop.parcel").exit_code == 0


def test_what_is_not_there_is_3(shop):
    assert shop("retry", "nobody", "--reason", "r").exit_code == 3


def test_quiet_verbs_say_nothing(shop):
    result = shop("cancel", shop.start(), "--reason", "r", quiet=True)
    assert (result.exit_code, result.output) == (0, "")
