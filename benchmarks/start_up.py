"""How long commands take before they work."""

import subprocess
import sys
from collections.abc import Callable, Iterator

from benchmarks import timing


def measure() -> Iterator[timing.Timing]:
    """Yield the figures of help texts, beside Python with what every command needs, and of a stage that trains, beside PyTorch."""
    bare, torch, stage_help, stage, command_help = timing.fastest(
        _python("-c", "import tyro, yaml, pydantic"),
        _python("-c", "import torch"),
        _python("-m", "stages.train_gmmn", "--help"),
        # It ends at the first file that it misses, with everything imported.
        _python(
            "-m", "stages.train_gmmn", *(f"--{name}-path=missing_{name}" for name in _PATHS), "--features-dir=missing"
        ),
        _python("-m", "zeroshot.commands", "predict", "--help"),
        rounds=3,
    )
    yield timing.Timing("stages.train_gmmn --help", stage_help, "import tyro, yaml, pydantic", bare)
    yield timing.Timing("zeroshot predict --help", command_help, "import tyro, yaml, pydantic", bare)
    yield timing.Timing("stages.train_gmmn, until it misses a file", stage, "import torch", torch)


_PATHS = ("split", "embeddings", "context-masks", "gmmn", "curve", "quality")


def _python(*arguments: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
