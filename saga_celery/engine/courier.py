"""The courier: sees to it that every hook of a transition is told, at least once, and never in the way of its saga.

A delivery is stored with its transition, published after the commit, and forgotten when its task has run to the end.
What is not confirmed is sent again with a delay that doubles. After `MOST_SENDS` it rests, for a person to see.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from saga_celery.core.events import Fact
from saga_celery.core.states import SagaState
from saga_celery.engine.log_fields import about
from saga_celery.engine.ports import Delivery, DeliveryStore, Hooks, Post
from saga_celery.errors import PublishFailed, StoreError, StoreUnavailable

logger = logging.getLogger("saga_celery")

LEASE = 30.0
"""Seconds for which a sweeper holds a delivery."""
UNSENT_REST = 5.0
"""Seconds until a delivery that the broker refused is sent again; it does not count as sent."""
LONGEST_REST = 3600.0
"""Upper bound in seconds of the delay that doubles."""
MOST_SENDS = 12
"""How often a hook is sent before it is given up: over about six hours by default."""


class Courier:
    """Carries deliveries. It keeps no state of its own.

    Args:
        hooks: knows which hooks there are.
        rows: where deliveries are stored.
        post: the way to the hooks' workers.
    """

    def __init__(self, *, hooks: Hooks, rows: DeliveryStore, post: Post) -> None:
        self._hooks = hooks
        self._rows = rows
        self._post = post

    def prepared(self, state: SagaState, facts: Sequence[Fact]) -> tuple[Delivery, ...]:
        """What is to be stored with a transition.

        Args:
            state: the saga after it, with the version that it had before.
            facts: what it recorded.
        """
        return tuple(self._hooks.deliveries(state, state.version + 1, facts)) if facts else ()

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Publish what was stored. It never raises: the transition stands, and the sweeper sends what went wrong."""
        unsent = [delivery.id for delivery in deliveries if not self._sent(delivery)]
        if unsent:
            self._hasten(unsent)

    def _sent(self, delivery: Delivery) -> bool:
        if not delivery.task:
            return False
        try:
            self._publish(delivery)
        except (PublishFailed, StoreError) as failure:
            logger.warning(
                "hook %s of saga %s is sent later (%s)",
                delivery.task,
                delivery.saga_id,
                failure,
                extra=_about(delivery),
            )
            return False
        except Exception:
            logger.exception(
                "hook %s of saga %s could not be sent; it is tried again",
                delivery.task,
                delivery.saga_id,
                extra=_about(delivery),
            )
        return True

    def _hasten(self, ids: Sequence[str]) -> None:
        try:
            self._rows.hasten(ids, UNSENT_REST)
        except StoreError as failure:
            logger.warning("%d hooks are sent when their time comes (%s)", len(ids), failure)

    def _publish(self, delivery: Delivery) -> None:
        """A worker without saga code confirms nothing, so there what was published counts as told."""
        self._post.deliver(delivery)
        if not self._post.confirms(delivery):
            self._rows.settle([delivery.id])

    # ----------------------------------------------------------------------------------------------------------- sweep

    def sweep(self, limit: int) -> tuple[int, int]:
        """Deal with deliveries that are due.

        Args:
            limit: how many at most.

        Returns:
            How many were due, and at how many it failed.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        due = self._rows.due(limit, LEASE)
        return len(due), sum(not self._survive(delivery) for delivery in due)

    def _survive(self, delivery: Delivery) -> bool:
        try:
            self._deal_with(delivery)
        except StoreUnavailable:
            raise
        except PublishFailed as failure:
            logger.warning(
                "hook %s of saga %s is sent later (%s)",
                delivery.task,
                delivery.saga_id,
                failure,
                extra=_about(delivery),
            )
            self._rows.postpone(delivery, UNSENT_REST, sent=False)
        except Exception:
            logger.exception(
                "hook %s of saga %s could not be sent; it is tried again",
                delivery.task,
                delivery.saga_id,
                extra=_about(delivery),
            )
            self._rows.postpone(delivery, _rest(delivery), sent=True)
            return False
        return True

    def _deal_with(self, delivery: Delivery) -> None:
        if delivery.tries >= MOST_SENDS:
            self._give_up(delivery)
        elif delivery.task:
            self._publish(replace(delivery, tries=delivery.tries + 1))
            self._rows.postpone(delivery, _rest(delivery), sent=True)
        else:
            self._resolve(delivery)

    def _give_up(self, delivery: Delivery) -> None:
        self._rows.give_up(delivery)
        logger.error(
            "hook %s for %s of saga %s was sent %d times and never ran to its end; see `saga hooks`",
            delivery.task or "(its saga's class is not in any process that sweeps)",
            delivery.event,
            delivery.saga_id,
            delivery.tries,
            extra=_about(delivery),
        )

    def _resolve(self, delivery: Delivery) -> None:
        """The transition was made where the saga's class is not known; here it may be."""
        found = self._hooks.resolved(delivery)
        if found is None:
            self._rows.postpone(delivery, _rest(delivery), sent=True)
        else:
            self._rows.replace(delivery, found)
            self.send(found)


def _about(delivery: Delivery) -> dict[str, Any]:
    return about(delivery.saga_id, delivery.payload.get("saga_name"), headers=delivery.headers)


def _rest(delivery: Delivery) -> float:
    """As long again as it has taken so far: the delay doubles."""
    return min(max(delivery.age, 1.0), LONGEST_REST)
