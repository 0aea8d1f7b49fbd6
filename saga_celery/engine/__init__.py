"""The engine: carries the machine's decisions out through ports. It knows no Celery and no SQLAlchemy."""
