"""mypy and pyright, without any plug-in, accept a right saga and find the mistakes of a wrong one."""

from __future__ import annotations

import re
from pathlib import Path

from tests.typecheck.checkers import Place, mypy, pyright

CASES = Path(__file__).parent / "cases"
FILES = [CASES / f"{name}.py" for name in ("accepted", "mistakes", "patient", "impatient")]
MODULES = [word for file in FILES for word in ("-m", f"tests.typecheck.cases.{file.stem}")]
PLANTED = re.compile(r"# E: ([a-z, -]+)$")


def planted() -> dict[Place, set[str]]:
    return {
        (file.name, number): set(found[1].split(", "))
        for file in FILES
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if (found := PLANTED.search(line))
    }


def test_there_are_seven_mistakes_a_wrong_result_method_two_wrong_children_and_seven_with_waits():
    assert len(planted()) == 8 + 2 + 7


def test_mypy_finds_exactly_the_planted_mistakes():
    found, output = mypy(*MODULES)
    assert found == planted(), output


def test_pyright_finds_exactly_the_planted_mistakes():
    found, output = pyright(FILES)
    assert set(found) == set(planted()), output
