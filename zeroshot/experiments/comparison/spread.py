"""Mean and spread of one figure over seeds."""

import dataclasses
import math
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True)
class Spread:
    """Mean, sample standard deviation (n - 1; None for one value) and the number of values n."""

    mean: float
    deviation: float | None
    n: int


def over(values: Iterable[float | None]) -> Spread | None:
    """Return the spread of the values that are not None; None if there are none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    mean = math.fsum(known) / len(known)
    if len(known) == 1:
        return Spread(mean, None, 1)
    variance = math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1)
    return Spread(mean, math.sqrt(variance), len(known))
