"""mypy and pyright, run as a user runs them; what each complains of, by file and line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 280
"""Seconds for one run."""

Place = tuple[str, int]
"""File and line."""


def mypy(*arguments: str, **environment: str) -> tuple[dict[Place, set[str]], str]:
    """What `mypy --strict` finds, with the codes; and its own words."""
    output = _run([sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *arguments], environment)
    found = re.findall(r"^(?:.*/)?(\w+\.py):(\d+): error: .*\[([a-z-]+)\]$", output, re.MULTILINE)
    codes: defaultdict[Place, set[str]] = defaultdict(set)
    for file, line, code in found:
        codes[(file, int(line))].add(code)
    assert len(found) == output.count(": error: "), output
    return dict(codes), output


def pyright(files: Sequence[Path]) -> tuple[dict[Place, set[str]], str]:
    """What pyright finds, with the names of its rules; and its own words.

    It is a program of Node, which comes as a wheel with the extra `pyright[nodejs]`: nothing is fetched at first use.
    """
    output = _run([sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", *map(str, files)])
    assert output.lstrip().startswith("{"), f"pyright did not run: {output}"
    told = json.loads(output)
    assert told["summary"]["filesAnalyzed"] == len(files), output
    rules: defaultdict[Place, set[str]] = defaultdict(set)
    for each in told["generalDiagnostics"]:
        rules[(Path(each["file"]).name, each["range"]["start"]["line"] + 1)].add(each.get("rule", each["severity"]))
    return dict(rules), output


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout if done.stdout.strip() or done.returncode == 0 else done.stderr
