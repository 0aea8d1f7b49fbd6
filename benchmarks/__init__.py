"""How fast sagas run, measured side by side with a plain Celery chain: `python -m benchmarks`."""
