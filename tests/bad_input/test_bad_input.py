"""Bad input ends in an error that names the fix, and leaves the saga database unharmed."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery
from celery.canvas import Signature

from saga_celery import (
    InputRejected,
    KeyConflict,
    NotConfigured,
    Saga,
    SagaApp,
    SagaStatus,
    SchemaOutOfDate,
    StartItem,
    UnknownSaga,
    step,
)
from saga_celery.core.states import Reason
from saga_celery.definition import registry
from saga_celery.settings import Settings
from saga_celery.testing import run_inline
from tests.bad_input.conftest import Order, Shop

GOOD = Order(sku="tea", cents=5)
TWO_MEGABYTES = "x" * 2_000_000


# ── the saga's name ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_saga_is_named_with_the_likeliest_one(unharmed: Shop) -> None:
    with pytest.raises(UnknownSaga, match=r"did you mean 'bad_input.order'\?.*include="):
        registry.find("bad_input.ordr")
    result = unharmed("start", "bad_input.ordr", "--input", "{}")
    assert result.exit_code == 3
    assert "did you mean 'bad_input.order'?" in result.stderr
    assert "Traceback" not in result.output


# ── the input ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"sku": "tea"}, "cents"),
        ({"sku": 7, "cents": 5}, "sku"),
        ({"sku": "tea", "cents": "five"}, "cents"),
        ("tea", "Order"),
        (None, "Order"),
        (object(), "Order"),
        ({"sku": "tea", "cents": float("nan")}, "cents"),
        ({"sku": "\ud800", "cents": 5}, "sku has half of a surrogate pair"),
    ],
)
def test_a_wrong_input_is_refused_with_the_place(unharmed: Shop, data: Any, complaint: str) -> None:
    with pytest.raises(InputRejected, match=complaint):
        unharmed.order_saga.start(data)


def test_one_wrong_input_of_many_starts_none(unharmed: Shop) -> None:
    with pytest.raises(InputRejected, match="cents"):
        unharmed.order_saga.start_many([GOOD, GOOD, {"sku": "tea"}])  # type: ignore[list-item]


def test_an_input_of_two_megabytes_is_refused_with_the_limit(unharmed: Shop) -> None:
    with pytest.raises(InputRejected, match=r"saga_payload_limit allows 1048576. Pass a reference"):
        unharmed.order_saga.start(Order(sku="tea", cents=5, note=TWO_MEGABYTES))


def test_the_command_line_says_it_in_one_line(unharmed: Shop, tmp_path: Any) -> None:
    (tmp_path / "order.json").write_text(f'{{"sku": "tea", "cents": 5, "note": "{TWO_MEGABYTES}"}}')
    result = unharmed("start", "bad_input.order", "--input", f"@{tmp_path / 'order.json'}")
    assert result.exit_code == 2
    assert "saga_payload_limit" in result.stderr
    assert len(result.stderr) < 3000
    result = unharmed("start", "bad_input.order", "--input", '{"sku": "tea"}')
    assert result.exit_code == 2
    assert "cents" in result.stderr


# ── key, tags, headers and the other options of start() ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"key": ""}, "printable text of 1 to 200"),
        ({"key": "x" * 201}, "printable text of 1 to 200"),
        ({"key": 7}, "printable text of 1 to 200"),
        ({"key": "a\nb"}, "printable text of 1 to 200"),
        ({"key": "a "}, "ends with a space"),
        ({"tags": {"": "x"}}, "printable text of 1 to 200"),
        ({"tags": {"a": "x" * 201}}, "printable text of 1 to 200"),
        ({"tags": {"a": ""}}, "printable text of 1 to 200"),
        ({"tags": {f"t{n}": n for n in range(21)}}, "has 20 at most"),
        ({"tags": {"a": None}}, "tag"),
        ({"tags": {"a": ["x"]}}, "tag"),
        ({"tags": "abc"}, "tags"),
        ({"headers": {"traceparent": 7}}, "headers are text"),
        ({"headers": "abc"}, "headers"),
        ({"timeout": timedelta(0)}, "in the future"),
        ({"timeout": 5}, "timeout"),
        ({"if_exists": "replace"}, "if_exists"),
        ({"if_exists": "replace", "key": "first"}, "if_exists"),
    ],
)
def test_a_wrong_option_of_start_is_refused_with_the_fix(
    unharmed: Shop, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InputRejected, match=complaint):
        unharmed.order_saga.start(GOOD, **options)


def test_another_input_under_a_taken_key_is_refused_also_among_many(unharmed: Shop) -> None:
    other = Order(sku="yacht", cents=5)
    with pytest.raises(KeyConflict, match="another input"):
        unharmed.order_saga.start(other, key="first")
    with pytest.raises(KeyConflict, match="another input"):
        unharmed.order_saga.start_many([StartItem(GOOD, key="new"), StartItem(other, key="new")])


@pytest.mark.parametrize("option", [("--tag", "novalue"), ("--wait", "-1"), ("--key", "")])
def test_a_wrong_option_of_the_command_is_usage(unharmed: Shop, option: tuple[str, str]) -> None:
    result = unharmed("start", "bad_input.order", "--input", GOOD.model_dump_json(), *option)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output


# ── results ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("result", "complaint"), [(object(), "JSON"), (TWO_MEGABYTES, "saga_payload_limit"), (float("nan"), "JSON")]
)
def test_a_result_that_can_not_be_stored_parks_the_saga_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, result: object, complaint: str
) -> None:
    monkeypatch.setattr(registry, "_sagas", {})

    class OddSaga(Saga[int]):
        name = "bad_input.odd"

        @step()
        def charge(self, n: int) -> Signature[str]:
            return self.task("charge", key=self.key())

        @charge.compensate
        def refund(self, n: int, charge: str) -> Signature[None]:
            return self.task("refund", charge, key=self.key())

    run = run_inline(OddSaga, 1, tasks={"charge": lambda key: result, "refund": lambda charge, key: None})
    assert run.state is SagaStatus.FAILED
    (letter,) = run.stored.letters
    assert letter.reason is Reason.IN_DOUBT
    assert complaint in letter.detail
    assert run.calls == (("charge", "charge"),), "what took effect is neither repeated nor undone without its result"


@pytest.mark.parametrize(("result", "complaint"), [(object(), "str"), (TWO_MEGABYTES, "saga_payload_limit")])
def test_a_result_of_the_saga_that_can_not_be_stored_parks_it(
    monkeypatch: pytest.MonkeyPatch, result: Any, complaint: str
) -> None:
    monkeypatch.setattr(registry, "_sagas", {})

    class OddSaga(Saga[int, str]):
        name = "bad_input.odd"

        @step(no_compensation="a test")
        def charge(self, n: int) -> Signature[str]:
            return self.task("charge", key=self.key())

        def result(self, n: int) -> str:
            return result  # type: ignore[no-any-return]

    run = run_inline(OddSaga, 1, tasks={"charge": lambda key: "c"})
    assert run.state is SagaStatus.FAILED
    assert [letter.reason for letter in run.stored.letters] == [Reason.RENDER_FAILED]
    assert complaint in run.stored.letters[0].detail
    assert len(run.stored.letters[0].detail) < 20_000


def test_a_message_of_two_megabytes_parks_the_saga_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_sagas", {})

    class BigSaga(Saga[int]):
        name = "bad_input.big"

        @step(no_compensation="a test")
        def charge(self, n: int) -> Signature[str]:
            return self.task("charge", TWO_MEGABYTES, key=self.key())

    run = run_inline(BigSaga, 1, tasks={})
    assert run.state is SagaStatus.FAILED
    assert "saga_payload_limit" in run.stored.letters[0].detail


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("saga_databse_url", "sqlite://", "did you mean saga_database_url?"),
        ("saga_queue_grase", 3, "did you mean saga_queue_grace?"),
        ("saga_zzz", 3, "known are: saga_"),
        ("saga_queue_grace", "soon", "expected int or float"),
        ("saga_queue_grace", 0, "must be positive"),
        ("saga_sweeper", 1, "expected bool"),
        ("saga_payload_limit", 1.5, "expected int"),
        ("saga_foreign_queues", "till", "expected tuple"),
        ("saga_retention", "90d", "expected a positive number of seconds, a timedelta, or None"),
        ("saga_archive_after", timedelta(0), "expected a positive number of seconds"),
        ("saga_clock_skew", 90_000, "leaves nothing of saga_message_lifetime"),
    ],
)
def test_a_wrong_setting_is_named_with_the_fix(unharmed: Shop, name: str, value: object, complaint: str) -> None:
    app = Celery("other", broker="memory://", set_as_current=False)
    app.conf.saga_database_url = unharmed.app.conf.saga_database_url
    app.conf[name] = value
    with pytest.raises(NotConfigured, match=re.escape(complaint)):
        Settings.from_conf(app.conf)
    from saga_celery.definition.desk import bind_desk, current_desk

    before = current_desk()
    try:
        SagaApp(app)
        with pytest.raises(NotConfigured, match=re.escape(name)):
            unharmed.order_saga.start(GOOD)
    finally:
        bind_desk(before)


def test_a_missing_database_url_is_named(unharmed: Shop) -> None:
    from saga_celery.definition.desk import bind_desk, current_desk

    before = current_desk()
    app = Celery("other", broker="memory://", set_as_current=False)
    try:
        SagaApp(app)
        with pytest.raises(NotConfigured, match="set `saga_database_url`"):
            unharmed.order_saga.start(GOOD)
        result = Shop(app, SagaApp.of(app), unharmed.order_saga)("list")
        assert result.exit_code == 3
        assert "saga_database_url" in result.stderr
    finally:
        bind_desk(before)


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_missing_tables_are_named_with_the_command(unmigrated: Shop) -> None:
    with pytest.raises(SchemaOutOfDate, match="saga migrate"):
        unmigrated.order_saga.start(GOOD)
    result = unmigrated("list")
    assert result.exit_code == 3
    assert "migrate" in result.stderr
    assert "Traceback" not in result.output
    tables = sa.inspect(unmigrated.sagas.store.connections.engine).get_table_names()
    assert tables == [], "nothing is created behind the operator's back"


@pytest.mark.parametrize(("version", "fix"), [("0000", "saga migrate|newer"), ("9999", "upgrade saga_celery")])
def test_tables_of_another_release_are_named_with_the_fix(shop: Shop, version: str, fix: str) -> None:
    from saga_celery.store.version import VERSION_TABLE

    before = shop.rows()
    with shop.sagas.store.connections.transaction() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '{version}'"))
    shop.sagas._schema_is_good = False
    with pytest.raises(SchemaOutOfDate, match=fix):
        shop.order_saga.start(GOOD)
    assert shop.rows() == before
