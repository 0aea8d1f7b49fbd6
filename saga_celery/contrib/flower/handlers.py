"""The console's page and API as Flower's handlers: who may look, who may act, and from where.

Whoever may look at Flower's pages may look at sagas. To act, one has to be somebody: where Flower asks for no login,
nobody acts, whatever `FLOWER_UNAUTHENTICATED_API` opens of Flower's own API. Nothing here relies on Flower for the
token against foreign pages, which it asks for under some kinds of login only.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flower.views import BaseHandler
from tornado.routing import URLSpec
from tornado.web import HTTPError, RequestHandler, authenticated

from saga_celery.app import SagaApp
from saga_celery.contrib import console
from saga_celery.contrib.console.origin import why_elsewhere
from saga_celery.contrib.flower.page import FILES, TEMPLATE, file
from saga_celery.errors import SagaError

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; font-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Flower's own style has pictures within it."""
STRANGER = "Flower does not know you, or not any more: log in"
NOBODY = "sagas can only be looked at here: Flower has no login (--basic_auth, --auth) that names who acts"
READ_ONLY = "sagas can only be looked at here; see `saga_console_writable`"


def routes() -> list[URLSpec]:
    """What is added to Flower's routes. All of it is below `/sagas`; each class is a `Guarded`."""
    files = "|".join(name.replace(".", r"\.") for name in FILES)
    return [
        URLSpec(r"/sagas", Door),
        URLSpec(r"/sagas/", Page, name="sagas"),
        URLSpec(rf"/sagas/({files})", File),
        URLSpec(r"/sagas/api/session", Session),
        URLSpec(r"/sagas/api/sagas", Sagas),
        URLSpec(r"/sagas/api/counts", Counts),
        URLSpec(r"/sagas/api/matching", Matching),
        URLSpec(r"/sagas/api/bulk/([^/]+)", BulkAction),
        URLSpec(r"/sagas/api/sagas/([^/]+)", OneSaga),
        URLSpec(r"/sagas/api/sagas/([^/]+)/graph\.svg", Graph),
        URLSpec(r"/sagas/api/sagas/([^/]+)/([^/]+)", Action),
    ]


# ---------------------------------------------------------------------------------------------------------- who and how


class Refusal(HTTPError):
    """403, with a sentence that whoever asks may read."""

    def __init__(self, sentence: str) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, "%s", sentence)
        self.sentence = sentence


class Guarded(BaseHandler):
    """A handler for those alone whom Flower lets in, on every method."""

    def set_default_headers(self) -> None:
        """Ours, and none of Flower's that invite other sites where its API is open to all."""
        for name, value in console.HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Refuse whom Flower does not know."""
        if not self.current_user:  # where it asks for a name and a password, it has answered 401 by now
            raise Refusal(STRANGER)

    def check_xsrf_cookie(self) -> None:
        """Tornado asks before it is known who asks; `Acting` does after that."""

    @property
    def actor(self) -> str:
        """Whoever is logged in, by name; empty where Flower has no login."""
        if isinstance(self.current_user, str):
            return self.current_user
        return _name_of(self.request.headers.get("Authorization", "")) if self.application.options.basic_auth else ""

    @property
    def sagas(self) -> SagaApp:
        """The saga app of the Celery app that Flower watches."""
        return SagaApp.of(self.capp)

    @property
    def why_read_only(self) -> str | None:
        """Why whoever asks may not act; None: may."""
        if not self.actor:
            return NOBODY
        if not self.sagas.settings.console_writable:
            return READ_ONLY
        if getattr(self.application.options, "read_only", False):  # not in Flower 2.0
            return "sagas can only be looked at here: Flower runs with --read_only"
        return None


def _name_of(authorization: str) -> str:
    """Of credentials that Flower has found good."""
    return base64.b64decode(authorization.split()[1]).decode().partition(":")[0]


# ------------------------------------------------------------------------------------------------------------- the page


class Entrance(Guarded):
    """Where people come in: whom Flower does not know is led to its login."""

    def prepare(self) -> None:
        """Refuse the rest here; `authenticated` leads to the login."""
        if self.request.method != "GET":
            super().prepare()


class Door(Entrance):
    """To the page, whose addresses are relative to it."""

    @authenticated
    def get(self) -> None:
        """Lead there."""
        self.redirect(self.reverse_url("sagas"))


class Page(Entrance):
    """The page."""

    @authenticated
    def get(self) -> None:
        """Show it."""
        self.set_header("Content-Security-Policy", PAGE_POLICY)
        self.render(TEMPLATE)


class File(Guarded):
    """The files that the page asks for."""

    def get(self, name: str) -> None:
        """Hand out one of them."""
        found = file(name)
        self.set_header("Content-Type", found.content_type)
        self.finish(found.body)


# -------------------------------------------------------------------------------------------------------------- the API


class Api(Guarded):
    """A handler that answers in JSON, also with what is wrong."""

    @property
    def query(self) -> dict[str, str]:
        """What is asked for in the address."""
        return {name: self.get_query_argument(name) for name in self.request.query_arguments}

    async def answer(self, ask: Callable[[], dict[str, Any] | str], content_type: str = "") -> None:
        """Ask the database, in a thread: Flower has one loop for everything.

        Args:
            ask: blocks; gives what is to be sent.
            content_type: of a text.
        """
        try:
            found = await asyncio.get_running_loop().run_in_executor(None, ask)
            if content_type:
                self.set_header("Content-Type", content_type)
            self.finish(found)
        except SagaError as error:
            problem = console.problem(error)
            self.set_status(problem.status)
            self.finish(problem.body)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say it in a sentence."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        if status_code == HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", 'Basic realm="flower"')
        found = HTTPStatus(status_code)
        self.finish({"error": found.name.lower(), "message": _sentence(error) or found.phrase})


def _sentence(error: BaseException | None) -> str:
    if isinstance(error, Refusal):
        return error.sentence
    return (error.log_message or "") if isinstance(error, HTTPError) else ""


class Session(Api):
    """Who looks, and what they may do."""

    async def get(self) -> None:
        """Tell the page."""
        self.finish(
            {
                "actor": self.actor or "anonymous",
                "writable": self.why_read_only is None,
                "csrf_token": self.xsrf_token.decode(),
                "task_url": "../task/{id}",  # Flower's own, seen from the page
            }
        )


class Sagas(Api):
    """The list."""

    async def get(self) -> None:
        """Those that the query asks for."""
        sagas, query = self.sagas, self.query
        await self.answer(lambda: console.sagas(sagas, query))


class Counts(Api):
    """How many there are."""

    async def get(self) -> None:
        """By state, and what they are called."""
        sagas, query = self.sagas, self.query
        await self.answer(lambda: console.counts(sagas, query))


class Matching(Api):
    """How many fit a filter."""

    async def get(self) -> None:
        """Those that the query asks for."""
        sagas, query = self.sagas, self.query
        await self.answer(lambda: console.matching(sagas, query))


class OneSaga(Api):
    """One saga."""

    async def get(self, saga_id: str) -> None:
        """In full."""
        sagas = self.sagas
        await self.answer(lambda: console.saga(sagas, saga_id))


class Graph(Api):
    """The steps of a saga as a picture."""

    async def get(self, saga_id: str) -> None:
        """Draw it."""
        sagas = self.sagas
        await self.answer(lambda: console.graph(sagas, saga_id), console.GRAPH_TYPE)


class Acting(Api):
    """What can be done; by POST alone."""

    def admitted(self) -> tuple[SagaApp, Any, str]:
        """The sagas, what is sent, and who asks: whoever is logged in.

        Raises:
            Refusal: whoever asks may not act.
            HTTPError: the token against foreign pages is missing, or is not the one of the cookie.
        """
        refused = self.why_read_only
        if refused is not None:
            raise Refusal(refused)
        RequestHandler.check_xsrf_cookie(self)  # Tornado's own, as Flower's leaves it out under basic auth
        foreign = why_elsewhere(self.request.headers.get, self.request.host)  # a site beside ours can plant a token
        if foreign is not None:
            raise Refusal(foreign)
        return self.sagas, _json(self.request.body), self.actor


class Action(Acting):
    """What can be done to a saga."""

    async def post(self, saga_id: str, verb: str) -> None:
        """Do it."""
        sagas, body, actor = self.admitted()
        await self.answer(lambda: console.act(sagas, saga_id, verb, body, actor=actor))


class BulkAction(Acting):
    """What can be done to many sagas at once."""

    async def post(self, verb: str) -> None:
        """Do it at one after the other."""
        sagas, body, actor = self.admitted()
        await self.answer(lambda: console.act_on_many(sagas, verb, body, actor=actor))


def _json(text: bytes) -> Any:
    """None where it is none, which the console refuses."""
    try:
        return json.loads(text)
    except ValueError:
        return None
