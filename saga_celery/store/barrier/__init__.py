"""The barrier of a participant's own database: its effect and the record of the message commit together."""

from saga_celery.store.barrier.passage import Passage
from saga_celery.store.barrier.table import barrier_metadata, create_barrier_table, purge_barrier

__all__ = ["Passage", "barrier_metadata", "create_barrier_table", "purge_barrier"]
