"""Print every quick figure beside its bound or peer: `python -m benchmarks`, in a clone after `make setup`.

The whole chain after a changed bandwidth has a command of its own, benchmarks/changed_bandwidth.py.
"""

import pandas as pd
import torch

from benchmarks import evaluation, generator_step, start_up


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    rows = [
        {
            "what": figure.what,
            "ms": f"{1000 * figure.seconds:.1f}",
            "beside": figure.beside,
            "its ms": f"{1000 * figure.beside_seconds:.1f}",
            "ratio": f"{figure.ratio:.2f}",
            "goal": figure.goal,
        }
        for module in (generator_step, evaluation, start_up)
        for figure in module.measure()
    ]
    print(pd.DataFrame(rows).to_markdown(index=False))


if __name__ == "__main__":
    main()
