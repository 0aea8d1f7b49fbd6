"""What every verb of a person has in common: accepted, it is written down; refused, it is told what is possible."""

from __future__ import annotations

from saga_celery.core import events as e
from saga_celery.core.draft import Draft, Outdated
from saga_celery.core.moves import next_moves, verbs
from saga_celery.core.states import NEXT_MOVES, DeadLetter, SagaState, step_label


def check_version(draft: Draft, news: e.OperatorAsked) -> None:
    """Refuse what was asked of a state that is no more.

    Raises:
        Outdated: the saga has moved since.
    """
    if news.version is not None and news.version != draft.state.version:
        raise Outdated(
            f"it was asked of version {news.version}, but the saga has moved on to version {draft.state.version} "
            f"and is {draft.state.status}; look at it again"
        )


def acted(draft: Draft, news: e.OperatorAsked) -> None:
    """Write down who did what, and why."""
    fact = e.OperatorActed(
        verb=news.verb, actor=news.actor, reason=news.reason, step=news.step, resolution=news.resolution
    )
    draft.record(fact)


def letters_for(state: SagaState, news: e.OperatorAsked) -> list[DeadLetter]:
    """The dead letters that the verb settles."""
    return [
        found
        for found in state.letters
        if news.verb in NEXT_MOVES[found.reason] and means(news.step, found.step, found.item)
    ]


def means(name: str, step: str, item: int) -> bool:
    """Tell whether a person means this: by the name of a step all its items, by `reserve[2]` that one, by "" all."""
    return name in ("", step, step_label(step, item))


def nothing(draft: Draft, news: e.OperatorAsked, sentence: str) -> str:
    """Why the verb finds nothing to do."""
    where = f" at step {news.step!r}" if news.step else ""
    return f"{sentence}{where}: the saga is {draft.state.status}; {moves(draft)}"


def moves(draft: Draft) -> str:
    """What is possible now."""
    found = [
        f"{_label(letter)}: {', '.join(verbs(next_moves(draft.plan, draft.state, letter)))}"
        for letter in draft.state.letters
    ]
    return f"possible now: {'; '.join(found)}" if found else "it has no dead letters"


def _label(letter: DeadLetter) -> str:
    return step_label(letter.step, letter.item) or "result"
