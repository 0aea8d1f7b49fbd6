"""The tables of saga_celery as a branch of the app's own Alembic history, beside the app's own.

One revision of the branch stands for a release's tables as a whole. It runs the steps that `saga migrate` runs, and
writes the same version into the same table; so both roads lead to the same place and may be taken in turn.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import context, op
from alembic.config import Config

from saga_celery.store.migrate import steps
from saga_celery.store.version import VERSION_TABLE, head, revision_of

VERSIONS = Path(__file__).parent / "versions"

_version = sa.table(VERSION_TABLE, sa.column("version_num", sa.String(32)))


def add_branch(config: Config) -> Config:
    """Have Alembic look for the branch, too: `migrate.configure(add_branch)` with Flask-Migrate.

    The same in an `alembic.ini`: `path_separator = newline`, and below each other in `version_locations` the folder of
    the app's own versions and `saga_celery.contrib.alembic:versions`.

    Args:
        config: the app's; its own versions are where they were, by default in `versions` below its `script_location`.

    Returns:
        The same.
    """
    own = config.get_version_locations_list() or [f"{config.get_main_option('script_location')}/versions"]
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join([*own, str(VERSIONS)]).replace("%", "%%"))
    return config


def upgrade(to: str) -> None:
    """Within a revision of the branch: make the tables of a release, as far as they are not there yet.

    Args:
        to: the version of the tables.
    """
    found = None if context.is_offline_mode() else revision_of(op.get_bind())
    if found is None:
        op.create_table(
            VERSION_TABLE,
            sa.Column("version_num", sa.String(32), nullable=False),
            sa.PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
        )
    missing = steps(found, to)
    for step in missing:
        step.module.upgrade()
    if missing:
        _note(to)


def downgrade(to: str | None) -> None:
    """Within a revision of the branch: go back to the tables of an earlier release.

    Args:
        to: the version of the tables; None: there were none, so all sagas are lost.
    """
    found = head() if context.is_offline_mode() else revision_of(op.get_bind())
    if found is None:
        return
    for step in reversed(steps(to, found)):
        step.module.downgrade()
    if to is None:
        op.drop_table(VERSION_TABLE)
    else:
        _note(to)


def _note(version: str) -> None:
    op.execute(_version.delete())
    op.execute(_version.insert().values(version_num=version))
