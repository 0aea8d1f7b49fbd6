"""A saga of a list as JSON."""

from __future__ import annotations

from saga_celery.app.reading import standing as standings
from saga_celery.engine.admission import Standing
from saga_celery.store.views import SagaRow, Suspension


def row_record(row: SagaRow, suspension: Suspension | None, standing: Standing | None = None) -> dict[str, object]:
    """A saga as JSON, with what it waits for before it begins."""
    return {
        "id": row.id,
        "name": row.name,
        "key": row.key,
        "state": row.status,
        "version": row.version,
        "suspended": row.suspended,
        "suspension": suspension
        and {"since": suspension.since, "actor": suspension.actor, "reason": suspension.reason},
        "overdue": row.overdue,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "ended_at": row.ended_at,
        "deadline_at": row.deadline_at,
        "lock": row.lock,
        "priority": row.priority,
        "starts_at": row.starts_at,
        "standing": standings.record(standing),
        "parent_id": row.parent_id,
        "archived": row.archived,
    }
