"""What the tests' participant writes."""

import sqlalchemy as sa

METADATA = sa.MetaData()
EFFECTS = sa.Table(
    "effect",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("what", sa.String(100), nullable=False),
)
