"""Saga definitions that must be refused, each beside the message that says what to write instead."""

from collections.abc import Callable

Define = Callable[[], object]


def into(cases: list[tuple[Define, str]]) -> Callable[[str], Callable[[Define], Define]]:
    """A decorator for functions that define a saga which is refused with a message; it puts both into `cases`."""

    def wrong(message: str) -> Callable[[Define], Define]:
        def note(define: Define) -> Define:
            cases.append((define, message))
            return define

        return note

    return wrong
