"""What drivers and workers agree on."""

from __future__ import annotations

STEPS = 5
NOOP = "bench.noop"
STAMP = "bench.stamp"
REFUSE = "bench.refuse"
