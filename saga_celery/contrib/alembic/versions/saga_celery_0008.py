"""The tables of saga_celery, version 0008."""

from saga_celery.contrib.alembic import branch

revision = "saga_celery_0008"
down_revision = "saga_celery_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of stuck sagas, and when each worker last swept."""
    branch.upgrade("0008")


def downgrade() -> None:
    """Drop both."""
    branch.downgrade("0007")
