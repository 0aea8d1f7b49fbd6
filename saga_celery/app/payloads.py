"""The payloads of an app: what the settings name is imported and put together."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from saga_celery.app.fernet import FernetCodec
from saga_celery.app.payload_directory import PayloadDirectory
from saga_celery.engine.payloads import Payloads, PayloadStore
from saga_celery.engine.seals import Codec, Seals
from saga_celery.errors import NotConfigured, PayloadUnreadable
from saga_celery.settings import Settings

_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}\Z")


def payloads_of(settings: Settings, in_database: Callable[[], PayloadStore] | None) -> Payloads:
    """Put the payloads of a process together.

    Args:
        settings: the checked configuration.
        in_database: gives the store in the saga database; None: this process does not have it.

    Raises:
        NotConfigured: a setting names something that is not there, or that is no codec or store.
    """
    own = None if settings.payload_store in (None, "") else _store_named(settings.payload_store)
    reachable = own is not None or in_database is not None
    return Payloads(
        store=(lambda: own) if own is not None else in_database or _out_of_reach,
        seals=Seals(_codecs(settings)),
        inline=settings.payload_inline if reachable else settings.payload_limit,
        limit=settings.payload_limit,
        with_transition=own is None,
    )


def _out_of_reach() -> PayloadStore:
    raise PayloadUnreadable(
        "it is kept apart in the saga database, which this worker does not have: set saga_payload_store to a place "
        "that all workers reach, or give this worker saga_database_url"
    )


# -------------------------------------------------------------------------------------------------------------- stores


def _store_named(given: Any) -> PayloadStore:
    if isinstance(given, str) and "://" in given:
        return _at(given)
    store = _made(given, "saga_payload_store")
    missing = [verb for verb in ("put", "get", "delete") if not callable(getattr(store, verb, None))]
    if missing:
        raise NotConfigured(f"saga_payload_store={given!r}: it has no {', '.join(missing)}; see PayloadStore")
    found: PayloadStore = store
    return found


def _at(url: str) -> PayloadStore:
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc or not parts.path.strip("/"):
        raise NotConfigured(
            f"saga_payload_store={url!r}: write file:///a/directory, or the dotted path of a PayloadStore of your own"
        )
    return PayloadDirectory(Path(unquote(parts.path)))


# -------------------------------------------------------------------------------------------------------------- codecs


def _codecs(settings: Settings) -> list[Codec]:
    given = () if settings.codec in (None, "") else settings.codec
    several = given if isinstance(given, list | tuple) else (given,)
    codecs = [_codec(each) for each in several]
    return [*codecs, FernetCodec(settings.fernet_keys)] if settings.fernet_keys else codecs


def _codec(given: Any) -> Codec:
    codec = _made(given, "saga_codec")
    missing = [verb for verb in ("encode", "decode") if not callable(getattr(codec, verb, None))]
    if missing:
        raise NotConfigured(f"saga_codec={given!r}: it has no {', '.join(missing)}; see Codec")
    name = getattr(codec, "name", None)
    if not isinstance(name, str) or not _NAME.match(name):
        raise NotConfigured(f"saga_codec={given!r}: its `name` is {name!r}; write letters, digits, `.`, `-` or `_`")
    found: Codec = codec
    return found


def _made(given: Any, setting: str) -> Any:
    """What a dotted path names; a class or function is called without arguments."""
    if not isinstance(given, str):
        return given
    module, _, name = given.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise NotConfigured(f"{setting}={given!r}: {error}; write the dotted path of something to import") from error
    if not callable(found):
        return found
    try:
        return found()
    except NotConfigured:
        raise
    except Exception as error:  # the user's code, which may raise whatever it likes
        raise NotConfigured(
            f"{setting}={given!r}: called without arguments, as a class or function is, it raised {error!r}; name one "
            "that needs none"
        ) from error
