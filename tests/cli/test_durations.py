"""Lengths of time come in as people write them and go out as people read them."""

import click
import pytest

from saga_celery.app.reading.durations import spoken
from saga_celery.app.times import length
from saga_celery.cli.durations import duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("15min", 900),
        ("2h", 7200),
        ("1h30m", 5400),
        ("3d", 259_200),
        ("1w", 604_800),
    ],
)
def test_what_people_write_is_read(text, seconds):
    assert length(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "yesterday", "2 hours", "h", "-5s", "1h-30m", "9" * 400 + "d"])
def test_anything_else_is_refused_as_usage(text):
    with pytest.raises(click.BadParameter):
        duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.24, "0.2 s"),
        (9.949, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (345_600, "4 d"),
        (363_600, "4 d 5 h"),
    ],
)
def test_lengths_are_told_in_two_units(seconds, text):
    assert spoken(seconds) == text
