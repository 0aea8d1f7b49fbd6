"""docker-compose.yml names only what exists: modules, settings and one another. It is read, not run."""

import ast
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from sqlalchemy import make_url

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}


def modules_of(command: str) -> list[str]:
    """The Python modules that a command line names, after `-A` or `-m`."""
    words = shlex.split(command)
    return [word for flag, word in pairwise(words) if flag in ("-A", "-m")]


def names_in_workers() -> set[str]:
    """Every string constant in workers/: a setting that is read is named by one."""
    return {
        node.value
        for path in (ROOT / "workers").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_the_promised_services_are_there():
    assert set(COMPOSE["services"]) == {
        *("redis", "postgres", "migrate", "coordinator", "inventory", "payments", "shipping", "notifications"),
        *("flower", "demo"),
    }


@pytest.mark.parametrize("name", OURS)
def test_a_command_names_a_module_that_exists(name):
    modules = modules_of(OURS[name]["command"])
    assert modules
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), f"there is no {module}"


@pytest.mark.parametrize("variable", sorted({key for service in OURS.values() for key in service["environment"]}))
def test_a_setting_is_read_somewhere(variable):
    assert variable in names_in_workers(), f"nothing in workers/ reads {variable}"


@pytest.mark.parametrize("name", OURS)
def test_a_setting_points_at_a_service_and_a_database_that_exist(name):
    created = {"saga", *re.findall(r"CREATE DATABASE (\w+);", COMPOSE["configs"]["databases"]["content"])}
    for value in OURS[name]["environment"].values():
        url = make_url(value)
        assert url.host in COMPOSE["services"]
        assert url.host == "redis" or url.database in created


@pytest.mark.parametrize("name", OURS)
def test_a_dependency_is_a_service(name):
    assert set(OURS[name]["depends_on"]) <= set(COMPOSE["services"])


def test_a_participant_listens_to_the_queue_of_its_name():
    for name in ("inventory", "payments", "shipping", "notifications"):
        words = shlex.split(OURS[name]["command"])
        assert words[words.index("-Q") + 1] == name


def test_the_image_holds_what_the_commands_need():
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (\w+) ", dockerfile, flags=re.MULTILINE))
    assert {"saga_celery", "workers"} <= copied
    assert ".[postgres,flower,cli]" in dockerfile
