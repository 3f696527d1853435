"""Which jobs a set of settings needs: what several settings have in common is trained once."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from zs3.cross_validate import bench, grid


@dataclasses.dataclass(frozen=True)
class Plan:
    """Jobs in two waves; the second reads what the first wrote.

    Attributes:
        generators: arguments of `bench.fit_generator`.
        classifiers: arguments of `bench.fit_classifier`.
        chosen: for each setting the numbers of its classifier jobs, one a fold.
    """

    generators: list[tuple[Any, ...]]
    classifiers: list[tuple[Any, ...]]
    chosen: list[list[int]]


def make(common: bench.Bench, settings: Sequence[grid.Setting], n_folds: int, scratch: pathlib.Path) -> Plan:
    """Return the plan; jobs hand over what they trained in files below `scratch`."""
    generators: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    classifiers: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    chosen = []
    for setting in settings:
        numbers = []
        for fold in range(n_folds):
            made_by = (fold, setting.options["gmmn"])
            generator = scratch / f"generator-{len(generators):05d}.pt"
            generator = generators.setdefault(made_by, (common, *made_by, generator))[-1]
            made_by = (*made_by, setting.options["classifier"])
            trained = scratch / f"classifier-{len(classifiers):05d}.pt"
            classifiers.setdefault(made_by, (common, fold, setting.options["classifier"], generator, trained))
            numbers.append(list(classifiers).index(made_by))
        chosen.append(numbers)
    return Plan(list(generators.values()), list(classifiers.values()), chosen)
