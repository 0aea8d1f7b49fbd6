"""Commands of other surfaces, and of other packages, in the group."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import click
import pytest
from click.testing import CliRunner

from saga_celery.cli import further


@click.command()
def aloft() -> None:
    click.echo("aloft")


@pytest.fixture
def commands(monkeypatch):
    """What the group would have, were these installed: names with where each leads."""

    def found(**values: str) -> dict[str, click.Command]:
        points = [EntryPoint(name, value, further.GROUP) for name, value in values.items()]
        monkeypatch.setattr(further, "entry_points", lambda group: points)
        return further.further_commands()

    return found


def test_they_have_the_names_of_their_entry_points(commands):
    found = commands(tell="tests.cli.test_further:aloft", also="tests.cli.test_further:aloft")
    assert found == {"tell": aloft, "also": aloft}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("no_such_module_of_ours:it", "ModuleNotFoundError: No module named 'no_such_module_of_ours'"),
        ("tests.cli.test_further:nothing", "AttributeError: "),
        ("tests.cli.test_further:pytest", "it is no click command"),
    ],
)
def test_one_that_is_broken_says_so_and_spoils_nothing(commands, value, why):
    found = commands(bad=value, good="tests.cli.test_further:aloft")
    assert CliRunner().invoke(found["good"]).stdout == "aloft\n"
    result = CliRunner().invoke(found["bad"], ["--port", "7", "word"])
    assert result.exit_code == 3
    assert result.stderr.startswith(f"Error: the command bad can not be loaded from {value}: {why}")
