"""Sagas in a database that Alembic (or Flask-Migrate) migrates: `include_object`, and the branch `saga_celery`."""

from saga_celery.contrib.alembic.branch import add_branch
from saga_celery.contrib.alembic.filter import include_object

__all__ = ["add_branch", "include_object"]
