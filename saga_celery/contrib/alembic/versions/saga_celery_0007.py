"""The tables of saga_celery, version 0007."""

from saga_celery.contrib.alembic import branch

revision = "saga_celery_0007"
down_revision = None
branch_labels = ("saga_celery",)
depends_on = None


def upgrade() -> None:
    """Make them."""
    branch.upgrade("0007")


def downgrade() -> None:
    """Drop them, and with them all sagas."""
    branch.downgrade(None)
