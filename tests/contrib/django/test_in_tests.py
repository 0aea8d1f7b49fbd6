"""The tests of the page, run by Django's own runner on each database: what it makes, it can also drop."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PATIENCE as _PATIENCE
from tests.contrib.django.conftest import on
from tests.docs.test_pages import ROOT, blocks

PATIENCE = 4 * _PATIENCE
SETTINGS = """
import pymysql

pymysql.install_as_MySQLdb()
SECRET_KEY = "of no use"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["django.contrib.contenttypes", "saga_celery.contrib.django", "orders"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CELERY_BROKER_URL = "memory://"
"""


@pytest.fixture
def project(database_url: str, tmp_path: Path) -> Path:
    """The files of the page, with settings of our own."""
    for block in blocks(ROOT / "docs" / "django.md"):
        if "/" in block.file_name and not block.is_addition:
            path = tmp_path / block.file_name
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
    (tmp_path / "orders" / "migrations").mkdir()
    for package in ("orders", "orders/migrations"):
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "shop" / "settings.py").write_text(f"{SETTINGS}\nDATABASES = {{'default': {on(database_url)!r}}}\n")
    manage(tmp_path, "makemigrations", "orders")
    return tmp_path


def manage(project: Path, *words: str) -> str:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "shop.settings"}
    environment["PYTHONPATH"] = os.pathsep.join([str(project), str(ROOT)])
    command = [sys.executable, "-W", "error::ResourceWarning", "-m", "django", *words]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stderr


def test_the_tests_of_the_page_pass(project: Path) -> None:
    told = manage(project, "test", "--noinput", "--verbosity", "2")
    assert "Ran 4 tests" in told
    assert "\nOK" in told
    assert "Destroying test database" in told
