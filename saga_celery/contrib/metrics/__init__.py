"""Prometheus metrics of all sagas in a database, read from its tables by one process; see docs/metrics.md.

`names` is the list of them. `meter` counts what has happened (`attempts` reads it off the facts, `tally` adds it up),
`families` turns the counts into what prometheus_client exposes, and `collector` does so for each scrape. `exporter` (a
process with the command `saga exporter`), `flask` and `django` expose it; Flower does so by itself, see
`saga_celery.contrib.flower.command`.
"""
