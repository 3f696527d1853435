"""Measurements of speed and memory. `python -m benchmarks` prints them; docs/performance.md says what they mean."""

import os

# Numerical libraries read this when they are imported. More threads than idle cores make every time a matter of luck.
os.environ.setdefault("OMP_NUM_THREADS", "1")
