"""`saga start`."""

import json

import pytest

from saga_celery.core import events as e
from saga_celery.core.states import Slot

TEA = '{"sku": "tea", "cents": 5}'


def test_the_id_is_all_that_is_said(shop):
    result = shop("start", "shop.order", "--input", TEA, "--key", "k", "--tag", "customer=7")
    assert result.exit_code == 0
    found = shop.sagas.store.queries.snapshot(result.stdout.strip())
    assert (found.saga.key, found.tags, found.state.input) == ("k", {"customer": "7"}, {"sku": "tea", "cents": 5})


def test_quiet_still_says_the_id(shop):
    result = shop("start", "shop.order", "--input", TEA, quiet=True)
    assert shop.sagas.store.queries.snapshot(result.stdout.strip()).saga.name == "shop.order"
    assert result.stderr == ""


def test_the_input_may_stand_in_a_file_or_come_through_a_pipe(shop, tmp_path):
    (tmp_path / "order.json").write_text(TEA)
    assert shop("start", "shop.order", "--input", f"@{tmp_path / 'order.json'}").exit_code == 0
    assert shop("start", "shop.order", "--input", "-", input=TEA).exit_code == 0
    assert [row["name"] for row in shop.json("list")] == ["shop.order", "shop.order"]


def test_a_key_that_is_taken_starts_nothing(shop):
    saga_id = shop.start(key="k")
    result = shop("start", "shop.order", "--input", TEA, "--key", "k")
    assert (result.exit_code, result.stdout) == (0, f"{saga_id}\n")
    assert result.stderr == "nothing was started: this saga has the key 'k' already\n"
    assert shop.json("start", "shop.order", "--input", TEA, "--key", "k") == [
        {"id": saga_id, "name": "shop.order", "created": False, "state": None, "result": None}
    ]


def test_a_key_with_another_input_is_refused(shop):
    shop.start(key="k")
    result = shop("start", "shop.order", "--input", '{"sku": "yacht", "cents": 5}', "--key", "k")
    assert result.exit_code == 1
    assert "with another input" in result.stderr


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("{nonsense", "it is no JSON"),
        ("NaN", "NaN is no JSON"),
        ("@missing.json", "can not read missing.json"),
        ('{"sku": 7, "cents": 5}', "the input of"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_a_wrong_input_is_usage_and_stores_nothing(shop, data, complaint):
    result = shop("start", "shop.order", "--input", data)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert shop.json("list") == []


def test_an_unknown_saga_is_3_and_hints(shop):
    result = shop("start", "shop.ordr", "--input", TEA)
    assert result.exit_code == 3
    assert "did you mean 'shop.order'?" in result.stderr


# ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def meanwhile(shop, monkeypatch):
    """Let something happen to the saga right after it was started."""

    def arrange(*happenings):
        before = shop.sagas.desk.wait

        def wait(saga_id, timeout):
            for happening in happenings:
                happening(saga_id)
            return before(saga_id, timeout)

        monkeypatch.setattr(shop.sagas.desk, "wait", wait)

    return arrange


def test_waiting_for_a_saga_that_completes_is_0(shop, meanwhile):
    meanwhile(
        lambda saga_id: shop.news(saga_id, e.Nudged()),
        lambda saga_id: shop.succeed(saga_id, "charge", "c"),
        lambda saga_id: shop.succeed(saga_id, "tell", "told"),
    )
    result = shop("start", "shop.order", "--input", TEA, "--wait", "5")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1] == "COMPLETED"


def test_waiting_for_a_saga_that_is_undone_is_3_and_tells_why(shop, meanwhile):
    cancel = e.OperatorAsked(verb=e.Verb.CANCEL, actor="ann", reason="wrong order")
    meanwhile(lambda saga_id: shop.news(saga_id, cancel))
    result = shop("start", "shop.order", "--input", TEA, "--wait", "5", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["state"] == "COMPENSATED"
    assert "is COMPENSATED: cancelled: wrong order" in result.stderr


def test_waiting_for_a_saga_that_is_parked_is_3(shop, meanwhile):
    meanwhile(
        lambda saga_id: shop.news(saga_id, e.Nudged()),
        lambda saga_id: shop.succeed(saga_id, "ship", "p"),
        lambda saga_id: shop.fail(saga_id, Slot("label")),
    )
    result = shop("start", "shop.parcel", "--input", TEA, "--wait", "5")
    assert result.exit_code == 3
    assert "is FAILED" in result.stderr


def test_waiting_in_vain_is_4(shop):
    result = shop("start", "shop.order", "--input", TEA, "--wait", "0")
    assert result.exit_code == 4
    assert "is still PENDING after 0 s" in result.stderr
