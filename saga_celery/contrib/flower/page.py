"""The console's page within Flower's: its own elements, between Flower's navigation and Flower's scripts."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from saga_celery.contrib import console
from saga_celery.contrib.console import Asset

TEMPLATE = "saga_celery.html"
"""The name of the page among Flower's templates."""
OWN_STYLE = "flower.css"
FILES = (OWN_STYLE, *(name for name in console.ASSETS if name != "index.html"))
"""What the page asks for, beside the API."""

_PAGE = """\
{{% extends "base.html" %}}
{{% block title %}}Sagas{{% end %}}
{{% block navbar %}}{{% module Template("navbar.html", active_tab="sagas") %}}{{% end %}}
{{% block container %}}
<link rel="stylesheet" href="{style}">
<div class="sagas page-section">{body}</div>
{{% end %}}
"""


def page_template() -> str:
    """A template of Tornado's that extends Flower's `base.html`."""
    body = console.embedded().replace("{", "{!")  # "{!" is Tornado's for a brace that is none
    return _PAGE.format(style=OWN_STYLE, body=body)


def file(name: str) -> Asset:
    """A file that the page asks for.

    Args:
        name: one of `FILES`.

    Raises:
        KeyError: there is no such file.
    """
    return _own_style() if name == OWN_STYLE else console.asset(name)


@cache
def _own_style() -> Asset:
    style = files("saga_celery.contrib.flower") / "static" / OWN_STYLE
    return Asset(body=style.read_bytes(), content_type=console.ASSETS["console.css"])
