"""Measurements of speed and memory. `python -m benchmarks` prints them; docs/performance.md says what they mean."""
