"""The tables of saga_celery, version 0009."""

from saga_celery.contrib.alembic import branch

revision = "saga_celery_0009"
down_revision = "saga_celery_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the indexes of sagas narrower."""
    branch.upgrade("0009")


def downgrade() -> None:
    """Make them as wide as they were."""
    branch.downgrade("0008")
