"""The rules and the dashboard that come along, and the page about them: all speak of the metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from prometheus_client import generate_latest

from saga_celery.cli import saga
from saga_celery.contrib.metrics.command import exporter, shipped
from saga_celery.contrib.metrics.names import METRICS, Kind

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "metrics.md").read_text()
RULES = yaml.safe_load(shipped("alerts.yml"))["groups"][0]["rules"]
NAME = re.compile(r"\bsaga_[a-z_]+")
ROW = re.compile(r"^\| `(saga_\w+)` \| (\w+) \| (.*?) \|", re.MULTILINE)


def exposed() -> set[str]:
    """The names under which Prometheus has them."""
    parts = {Kind.HISTOGRAM: ("_bucket", "_sum", "_count")}
    return {name + part for name, metric in METRICS.items() for part in parts.get(metric.kind, ("",))}


def expressions() -> Iterator[tuple[str, str]]:
    """Of the dashboard: what is asked for, and how its lines are called."""
    for panel in json.loads(shipped("grafana.json"))["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"], target["legendFormat"]


def metric_of(name: str) -> str:
    return next(
        found for found in METRICS if name in (found, *(found + part for part in ("_bucket", "_sum", "_count")))
    )


# -------------------------------------------------------------------------------------------------------------- alerts


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_there_are_and_says_what_to_press(rule):
    asked = set(NAME.findall(rule["expr"]))
    assert asked
    assert asked <= exposed()
    assert set(rule["annotations"]) == {"summary", "press", "docs"}
    page, _, anchor = rule["annotations"]["docs"].partition("#")
    assert (ROOT / page).exists()
    assert f"### {rule['alert']}\n" in PAGE
    assert anchor == rule["alert"].lower()
    commands = re.findall(r"\bsaga ([a-z-]+)", rule["annotations"]["press"])
    assert commands
    assert set(commands) <= set(saga.commands)
    for name in commands:
        known = {word for option in saga.commands[name].params for word in option.opts}
        options = re.findall(rf"saga {name}((?: --[a-z-]+)+)", rule["annotations"]["press"])
        assert {word for found in options for word in found.split()} <= known


def test_every_alert_of_the_page_is_there():
    told = re.findall(r"^### (Saga\w+)$", PAGE, re.MULTILINE)
    assert sorted(told) == sorted(rule["alert"] for rule in RULES)


def test_the_rules_are_ones_and_fire_when_they_should(promtool, tmp_path):
    rules = ROOT / "saga_celery" / "contrib" / "metrics" / "alerts.yml"
    checked = subprocess.run([promtool, "check", "rules", rules], capture_output=True, text=True, timeout=120)
    assert (checked.returncode, f"{len(RULES)} rules found" in checked.stdout) == (0, True), checked.stderr
    tests = Path(__file__).with_name("alerts_test.yml")
    tested = subprocess.run([promtool, "test", "rules", tests], capture_output=True, text=True, timeout=120)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert {rule["alert"] for rule in RULES} == set(re.findall(r"alertname: (\w+)\n", tests.read_text()))


# ----------------------------------------------------------------------------------------------------------- dashboard


def test_the_dashboard_asks_for_each_metric_and_for_no_other():
    asked = {name for expression, _ in expressions() for name in NAME.findall(expression)}
    assert asked <= exposed()
    assert {metric_of(name) for name in asked} == set(METRICS)


@pytest.mark.parametrize(("expression", "legend"), [each for each in expressions() if each[1]])
def test_a_line_of_the_dashboard_is_named_by_labels_that_are_left(expression, legend):
    grouped = re.search(r"by \(([^)]*)\)", expression)
    left = {label.strip() for label in grouped[1].split(",")} if grouped else set()
    assert set(re.findall(r"{{(\w+)}}", legend)) == left - {"le"}
    for name in NAME.findall(expression):
        assert left - {"le"} <= set(METRICS[metric_of(name)].labels)


def test_the_dashboard_asks_in_a_language_that_prometheus_knows(promtool, tmp_path):
    """As rules, for promtool parses no mere expression."""
    plain = {"$__rate_interval": "5m", "$job": "sagas", "$saga": ".*"}
    found = []
    for number, (expression, _) in enumerate(expressions()):
        for variable, value in plain.items():
            expression = expression.replace(variable, value)
        found.append({"record": f"dashboard:{number}", "expr": expression})
    rules = tmp_path / "rules.yml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": found}]}))
    checked = subprocess.run([promtool, "check", "rules", rules], capture_output=True, text=True, timeout=120)
    assert checked.returncode == 0, checked.stderr


def test_both_can_be_printed():
    for option, name in (("--dashboard", "grafana.json"), ("--alerts", "alerts.yml")):
        printed = CliRunner().invoke(exporter, [option])
        assert (printed.exit_code, printed.stdout) == (0, shipped(name))


# ------------------------------------------------------------------------------------------------------- page and text


def test_the_page_tells_of_each_metric_and_of_no_other():
    told = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(PAGE)}
    assert told == {name: (metric.kind.value, metric.labels) for name, metric in METRICS.items()}
    for name in set(NAME.findall(PAGE)) - set(METRICS):
        assert name in exposed() | {"saga_sweeper", "saga_database_url", "saga_celery", "saga_hooks"}, name


def test_prometheus_finds_no_fault_with_what_is_told(shop, scrape, promtool):
    shop.sagas.beat("celery@h.1", [])
    scrape()
    shop.in_doubt()
    shop.compensated()
    told = generate_latest(scrape.registry)
    checked = subprocess.run([promtool, "check", "metrics"], input=told, capture_output=True, timeout=120)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
