"""Print every quick figure beside its bound or peer: `python -m benchmarks`, in a clone after `make setup`.

The whole chain after a changed bandwidth has a command of its own, benchmarks/changed_bandwidth.py.
"""

import pandas as pd

from benchmarks import cache_reading, generator_step, labelling_speed, network_speed, start_up
from zeroshot.base import runtime


def main() -> None:
    """Measure and print."""
    # As the stages do.
    runtime.start(runtime.Params(device="cpu", threads=1, ranks=1, workers=0, scratch="."))
    rows = [
        {
            "what": timing.what,
            "ms": f"{1000 * timing.seconds:.1f}",
            "beside": timing.beside,
            "its ms": f"{1000 * timing.beside_seconds:.1f}",
            "ratio": f"{timing.ratio:.2f}",
            "goal": timing.goal,
        }
        for module in (generator_step, labelling_speed, cache_reading, network_speed, start_up)
        for timing in module.measure()
    ]
    print(pd.DataFrame(rows).to_markdown(index=False))


if __name__ == "__main__":
    main()
