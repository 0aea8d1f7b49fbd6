"""The names under which the page answers: protection against DNS rebinding.

Another site can give its own name the address of this machine. A browser that looks at that site then takes our page
for a part of it and hands its scripts all that we answer. The one thing that gives it away is the name in `Host`.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

OF_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


class Hosts:
    """Tells which names are ours.

    Args:
        bound: the address that is listened at.
        host: what was asked to be listened at.
        allowed: further names, such as that of a proxy.
    """

    def __init__(self, bound: str, host: str, allowed: Iterable[str] = ()) -> None:
        self.is_loopback = _is_loopback(bound)
        own = set() if _is_any(bound) else {bound, host.strip("[]").lower()}
        self._named = frozenset({each.strip("[]").lower() for each in allowed})
        self._ours = OF_THIS_MACHINE | own | self._named
        self._all = _is_any(bound) and not self._named

    @property
    def are_local(self) -> bool:
        """Whether nobody but people at this machine is meant."""
        return self.is_loopback and self._named <= OF_THIS_MACHINE

    def has(self, header: str | None) -> bool:
        """Whether the page answers a request.

        Args:
            header: its `Host`, with a port or without.
        """
        return self._all or _name_in(header) in self._ours


def _name_in(header: str | None) -> str | None:
    try:
        parts = urlsplit(f"//{header or ''}")
        return parts.hostname if parts.username is None and parts.netloc == header else None
    except ValueError:  # brackets that are none, for instance
        return None


def _is_loopback(address: str) -> bool:
    return ip_address(address.partition("%")[0]).is_loopback


def _is_any(address: str) -> bool:
    return ip_address(address.partition("%")[0]).is_unspecified
