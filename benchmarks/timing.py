"""One measured figure beside its bound or peer, and how times are taken."""

import dataclasses
import time
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Timing:
    """A measured time beside another one of the same run, since absolute times depend on the machine and on what else it does.

    Attributes:
        what: what was measured.
        seconds: its time.
        beside: what it is compared with: a lower bound or another way to do the same.
        beside_seconds: the time of that.
        goal: the ratio of both that is to be reached, as text; empty for none.
    """

    what: str
    seconds: float
    beside: str
    beside_seconds: float
    goal: str = ""

    @property
    def ratio(self) -> float:
        """The measured time in units of the other."""
        return self.seconds / self.beside_seconds


def fastest(*functions: Callable[[], object], rounds: int = 7) -> list[float]:
    """Return the shortest of several times of each function, in seconds; they take turns, so that a busy moment hits all of them."""
    for function in functions:
        function()
    times = [[_timed(function) for function in functions] for _ in range(rounds)]
    return [min(column) for column in zip(*times, strict=True)]


def _timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
