"""Alembic's environment and the numbered steps from each release's tables to the next one's."""
