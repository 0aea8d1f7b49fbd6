"""What the pages tell people to install is there to be installed."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ASKED = [(page.name, found) for page in PAGES for found in re.findall(r"saga-celery\[([\w,-]+)\]", page.read_text())]


@pytest.mark.parametrize(("page", "extras"), ASKED)
def test_every_extra_that_a_page_names_exists(page, extras):
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"]), page


def test_the_name_that_the_pages_install_is_ours():
    assert PROJECT["name"] == "saga-celery"
    assert ASKED
