"""The agency's own login: who is at the desk, and what they may do."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import Blueprint, abort, flash, g, redirect, render_template, request, session, url_for
from werkzeug.security import check_password_hash
from werkzeug.wrappers import Response

from workers.agency.database import db
from workers.agency.forms import LoginForm
from workers.agency.models import Staff

P = ParamSpec("P")
R = TypeVar("R")

pages = Blueprint("staff", __name__)


@pages.before_app_request
def remember() -> None:
    """Who asks: `g.staff`, None for a customer."""
    name = session.get("staff")
    g.staff = None if name is None else db.session.get(Staff, name)


def agents_only(view: Callable[P, R]) -> Callable[P, R]:
    """Refuse a view to everybody but agents."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if g.staff is None or not g.staff.is_agent:
            abort(403)
        return view(*args, **kwargs)

    return guarded


def who_looks_at_sagas() -> str | Response:
    """For the page of sagas: the name of who is logged in; everybody else is sent to the login."""
    if g.staff is None:
        return redirect(url_for("staff.login", next=request.path))
    return str(g.staff.name)


def may_operate(name: str) -> bool:
    """For the page of sagas: agents may act there, trainees may look."""
    found = db.session.get(Staff, name)
    return found is not None and found.is_agent


@pages.route("/login", methods=["GET", "POST"])
def login() -> Response | str | tuple[str, int]:
    """Log in, then go on to where one wanted to."""
    form = LoginForm()
    if not form.validate_on_submit():
        return render_template("login.html", form=form)
    found = db.session.get(Staff, form.name.data)
    if found is None or not check_password_hash(found.password_hash, form.password.data):
        flash("Nobody has this name and password.")
        return render_template("login.html", form=form), 401
    session["staff"] = found.name
    return redirect(_place_here(request.args.get("next", "")) or url_for("bookings.desk"))


@pages.post("/logout")
def logout() -> Response:
    """Be a customer again."""
    session.pop("staff", None)
    return redirect(url_for("bookings.new"))


def _place_here(path: str) -> str | None:
    """A path of ours; not `//elsewhere` nor `/\\elsewhere`, which browsers take for another site."""
    return path if path.startswith("/") and path[1:2] not in ("/", "\\") else None
