"""The one place that knows how Flower is built: two additions to module-level data, and no function replaced.

`flower.urls.handlers`, its routes, get ours before the catch-all. `flower.urls.settings`, what its Tornado application
is made with, gets a `template_loader` (Tornado's own setting) that serves Flower's templates, with one more item in its
navigation, and beside them our page. Flower documents neither, so each assumption is checked before anything is
changed; tests/contrib/flower runs all of it on the release that is installed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from celery import Celery
from tornado.routing import URLSpec
from tornado.template import DictLoader

from saga_celery.app import SagaApp
from saga_celery.contrib.flower.page import TEMPLATE, page_template
from saga_celery.errors import NotConfigured

END_OF_TABS = re.compile(r"</ul>")
"""The first list of the navigation is that of the tabs."""
BLOCKS = ("navbar", "container")
"""Of Flower's `base.html`, which the page fills; it has a title besides, which Flower 2.0 and 2.1 leave out."""
TAB = """\
<li class="nav-item">
  <a class="nav-link{% if active_tab == 'sagas' %} active{% end %}" href="{{ reverse_url('sagas') }}"
    {% if active_tab == 'sagas' %}aria-current="page"{% end %}>Sagas</a>
</li>
"""


class FlowerChanged(Exception):
    """This release of Flower is not built as the hook knows it."""


def why_not(celery: Celery) -> str | None:
    """Why there are no sagas to show for a Celery app; None: there are.

    Raises:
        NotConfigured: a setting can not be.
    """
    try:
        sagas = SagaApp.of(celery)
    except NotConfigured as error:
        return str(error)
    return None if sagas.has_store else "this process has no saga database; set `saga_database_url`"


def install() -> None:
    """Add the tab to Flower, which must not have made its application yet. A second time changes nothing.

    Raises:
        FlowerChanged: says what is not where it was. Nothing is changed then.
        ImportError: one of Flower's modules is gone.
    """
    from flower import app, urls

    _require(app.default_handlers is urls.handlers, "flower.app takes its routes from elsewhere")
    add_to(urls.handlers, urls.settings)


def add_to(handlers: Any, settings: Any) -> None:
    """Add the tab.

    Args:
        handlers: Flower's routes.
        settings: what Flower's Tornado application is made with.

    Raises:
        FlowerChanged: they are not what is known. They are as they were then.
        ImportError: one of Flower's modules is gone.
    """
    from saga_celery.contrib.flower.handlers import routes

    _require(isinstance(handlers, list) and bool(handlers), "its handlers are no list of routes")
    _require(isinstance(settings, dict), "its settings are no dict")
    if any(getattr(each, "name", None) == "sagas" for each in handlers):
        return
    _require(_pattern(handlers[-1]) == ".*", "the last of its routes is not the one that catches all")
    _require("template_loader" not in settings, "it has a template loader of its own")
    settings["template_loader"] = DictLoader(_templates(Path(settings.get("template_path", ""))))
    handlers[-1:-1] = routes()


def _templates(folder: Path) -> dict[str, str]:
    """Flower's own with the tab, and ours."""
    found = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.html"))}
    for name in ("base.html", "navbar.html"):
        _require(name in found, f"there is no template {name} in {folder}")
    for block in BLOCKS:
        _require(f"{{% block {block} %}}" in found["base.html"], f"base.html has no block {block!r}")
    found["navbar.html"], tabs = END_OF_TABS.subn(lambda end: TAB + end[0], found["navbar.html"], count=1)
    _require(tabs == 1, "navbar.html has no list of tabs")
    return {**found, TEMPLATE: page_template()}


def _pattern(handler: Any) -> str:
    pattern: str = handler.regex.pattern if isinstance(handler, URLSpec) else handler[0]
    return pattern.removesuffix("$")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise FlowerChanged(otherwise)
