"""The tables of saga_celery, version 0010."""

from saga_celery.contrib.alembic import branch

revision = "saga_celery_0010"
down_revision = "saga_celery_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the archive, and the indexes by which its sagas are found."""
    branch.upgrade("0010")


def downgrade() -> None:
    """Drop them; what was archived is lost."""
    branch.downgrade("0009")
