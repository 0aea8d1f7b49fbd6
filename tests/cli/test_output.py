"""What reaches the terminal: short, harmless, and the same words with and without rich."""

from datetime import UTC, datetime, timedelta, timezone
from enum import Enum

import pytest

from saga_celery.app.reading import plain
from saga_celery.app.reading.excerpt import data, excerpt, first_line, printable
from saga_celery.cli.screen import Screen
from saga_celery.cli.table import Table, bad, plain_lines
from saga_celery.core import events as e
from saga_celery.core.states import Failure, Slot

TABLE = Table(columns=("id", "state"), rows=(("1", bad("FAILED")), ("[red]2", "x\x1b[31m")))


def test_an_excerpt_is_one_line_of_120_characters():
    assert excerpt("a\nb  c") == "a b c"
    assert len(excerpt("x" * 500)) == 120
    assert data({"x": "y" * 500}).endswith("…")
    assert len(data({"x": "y" * 500})) == 120
    assert data(None) == ""
    assert first_line("\n\n  Boom: x\nmore") == "Boom: x"


def test_data_can_not_steer_the_terminal():
    assert printable("\x1b[2J\x9b31m\u202egnp.exe") == "\ufffd[2J\ufffd31m\ufffdgnp.exe"
    assert printable("two\nlines") == "two\nlines"


def test_half_of_a_surrogate_pair_can_be_shown_everywhere(shop):
    saga_id = shop.start("shop.parcel")
    shop.news(saga_id, e.Nudged())
    shop.succeed(saga_id, "ship", "p-1")
    failure = Failure(type="shop.Broken", message="half \ud800 a pair", traceback="line \udfff", step="label")
    shop.news(saga_id, e.AttemptFailed(slot=Slot("label"), attempt=1, failure=failure))
    for command in (["show", saga_id, "--history", "--full"], ["list"], ["dead-letters"]):
        result = shop(*command)
        assert result.exit_code == 0, (command, result.exception)
    assert "half \ufffd a pair" in shop("show", saga_id).stdout
    (found,) = shop.json("show", saga_id, "--history")
    (label,) = (step for step in found["steps"] if step["step"] == "label")
    assert label["action"]["error"]["message"] == "half \ud800 a pair"
    assert shop.json("dead-letters")[0]["detail"] == "shop.Broken: half \ufffd a pair"  # a column of text has no other


def test_plain_columns_are_aligned():
    assert plain_lines(TABLE)[:2] == ["ID      STATE", "1       FAILED"]


def test_json_is_in_plain_types():
    class Colour(Enum):
        RED = "red"

    moment = datetime(2026, 11, 21, 10, 0, 0, 5000, tzinfo=timezone(timedelta(hours=1)))
    line = plain.line({"at": moment, "c": Colour.RED, "d": timedelta(seconds=2), "t": (1,)})
    assert line == '{"at": "2026-11-21T09:00:00.005Z", "c": "red", "d": 2.0, "t": [1]}'
    assert plain.iso(datetime(2026, 1, 1)) == plain.iso(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"


def test_a_screen_that_is_no_terminal_is_plain(capsys):
    Screen().show([bad("[b]look[/b]"), TABLE])
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "[b]look[/b]"
    assert "\x1b" not in out


def test_a_terminal_without_rich_is_plain(capsys, on_a_terminal, monkeypatch):
    on_a_terminal()
    monkeypatch.setattr("saga_celery.cli.richly.find_spec", lambda name: None)
    Screen().show([TABLE])
    assert capsys.readouterr().out.splitlines()[0] == "ID      STATE"


def test_a_terminal_with_rich_shows_data_as_it_is(capsys, on_a_terminal):
    on_a_terminal()
    Screen().show([bad("[b]look[/b]"), TABLE])
    out = capsys.readouterr().out
    assert "[b]look[/b]" in out
    assert "[red]2" in out
    assert "─" in out


@pytest.mark.parametrize("how", ["option", "environment"])
def test_colours_can_be_had_and_be_forbidden(capsys, on_a_terminal, monkeypatch, how):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    on_a_terminal()
    Screen().show([bad("x")])
    assert "\x1b[1;31m" in capsys.readouterr().out
    if how == "environment":
        monkeypatch.setenv("NO_COLOR", "1")
    Screen(no_color=how == "option").show([bad("x")])
    assert "31m" not in capsys.readouterr().out


def test_json_is_never_decorated(on_a_terminal):
    on_a_terminal()
    assert not Screen(json=True).is_rich


def test_quiet_leaves_out_what_nobody_has_to_read(capsys):
    screen = Screen(quiet=True)
    screen.say("done")
    screen.note("by the way")
    assert capsys.readouterr() == ("", "")
