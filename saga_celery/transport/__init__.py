"""The way to participants and back, over Celery."""
