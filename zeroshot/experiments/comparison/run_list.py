"""The runs that a comparison needs: one for each method, K and seed; cells with equal parameters share a run."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from zeroshot.base import errors
from zeroshot.experiments.comparison import catalogue, overrides


@dataclasses.dataclass(frozen=True)
class Cell:
    """One entry of the tables: a method at one K, seed and swept value, with its parameters.

    Attributes:
        method: name of the method.
        k: number of unseen classes.
        seed: the seed of all stages.
        swept: the value of the sweep's parameter; None in the tables.
        params: all parameter files that the method reads; None if one lacks a key that the method sets.
        missing_keys: the keys that they lack.
    """

    method: str
    k: int
    seed: int
    swept: Any
    params: overrides.Files | None
    missing_keys: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of the main pipeline, or of the pipeline or up to the stage `target`, and the cells that it fills."""

    name: str
    params: overrides.Files
    target: str | None
    cells: tuple[Cell, ...]

    def matches(
        self, methods: Collection[str] | None, ks: Collection[int] | None, seeds: Collection[int] | None
    ) -> bool:
        """Return whether one of its cells has one of the methods, Ks and seeds; None allows all."""
        return any(
            (methods is None or cell.method in methods)
            and (ks is None or cell.k in ks)
            and (seeds is None or cell.seed in seeds)
            for cell in self.cells
        )


def cells(comparison: catalogue.Comparison, methods: dict[str, catalogue.Method], base: overrides.Files) -> list[Cell]:
    """Return every cell of a comparison, by K, then by seed, then in the order of the methods.

    Args:
        comparison: the comparison.
        methods: all methods by name.
        base: the parameter files that the runs start from.

    Raises:
        errors.UserError: if `base` lacks a key that the comparison sets. A missing key of a method is in `Cell.missing_keys` instead.
    """
    try:
        shared = overrides.merged(base, comparison.set)
        splits = {k: overrides.merged(shared, changes) for k, changes in comparison.splits.items()}
    except KeyError as error:
        raise errors.UserError(
            f"preset {comparison.preset}: has no key {', '.join(error.args)}, which the tables set"
        ) from error
    seeds = overrides.seed_keys(base, comparison.fixed_seeds)
    result = []
    for k, split in splits.items():
        for seed in comparison.seeds_at(k):
            start = overrides.merged(split, dict.fromkeys(seeds, seed))
            result += [_cell(start, name, methods[name], k, seed, None, {}) for name in comparison.methods]
            sweep = comparison.sweep
            if sweep and sweep.k == k:
                result += [
                    _cell(start, name, methods[name], k, seed, value, {sweep.parameter: value})
                    for value in sweep.values
                    for name in sweep.methods
                ]
    return result


def _cell(
    start: overrides.Files, name: str, method: catalogue.Method, k: int, seed: int, swept: Any, changes: dict[str, Any]
) -> Cell:
    try:
        files = overrides.merged(start, method.set | changes)
    except KeyError as error:
        return Cell(name, k, seed, swept, None, error.args)
    return Cell(name, k, seed, swept, {path: files[path] for path in method.parameter_files if path in files})


def runs(
    prefix: str,
    requested: Iterable[Cell],
    methods: dict[str, catalogue.Method],
    keys: Mapping[str, Collection[str] | None],
) -> list[Run]:
    """Return the runs that fill the cells, in the order of their first cells.

    Cells with equal parameters share a run. So do cells that differ only in parameters on which their metrics do not depend: if the
    backbone has a fixed seed, the supervised network is one run for all seeds.

    Args:
        prefix: start of the name of every run. The K (`any-k` for several), the seed, the method and the swept value follow, then six
            digits of a hash of the parameters, so that runs with different parameters have different names.
        requested: the cells; those with missing keys are skipped.
        methods: all methods by name.
        keys: model -> the keys of the parameter files that its metrics depend on; None or absent if they depend on all.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in requested:
        if cell.params is not None:
            groups.setdefault(_key(cell.params, methods[cell.method].target), []).append(cell)
    distinct: dict[str, list[Cell]] = {}
    for key, group in groups.items():
        equivalents = [_equivalent_run(cell, distinct, methods, keys) for cell in group]
        if None in equivalents:
            distinct[key] = group
            continue
        for cell, other in zip(group, equivalents, strict=True):
            if other is not None:
                distinct[other].append(cell)
    return [
        Run(_name(prefix, key, group, methods), group[0].params or {}, methods[group[0].method].target, tuple(group))
        for key, group in distinct.items()
    ]


def _equivalent_run(
    cell: Cell,
    distinct: Mapping[str, list[Cell]],
    methods: dict[str, catalogue.Method],
    keys: Mapping[str, Collection[str] | None],
) -> str | None:
    """Return the key of a run that gives the same metrics as the cell; None if there is none."""
    method = methods[cell.method]
    relevant = keys.get(method.model)
    if relevant is None or cell.params is None:
        return None
    for key, others in distinct.items():
        if methods[others[0].method].target != method.target:
            continue
        other = others[0].params or {}
        if all(overrides.same(overrides.at(cell.params, name), overrides.at(other, name)) for name in relevant):
            return key
    return None


def _key(params: overrides.Files, target: str | None) -> str:
    """Return a text that is equal for equal runs; `runtime` is left out because no result depends on it."""
    tracked = {
        path: {section: values for section, values in content.items() if section != "runtime"}
        for path, content in params.items()
    }
    return text_of([tracked, target])


def text_of(values: Any) -> str:
    """Return parameter values as a text that is equal for equal settings."""
    return json.dumps(_as_floats(values), sort_keys=True)


def _as_floats(values: Any) -> Any:
    """Return parameter values with every integer as a float, because 25 and 25.0 are the same setting."""
    if isinstance(values, dict):
        return {name: _as_floats(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_as_floats(value) for value in values]
    return float(values) if isinstance(values, int) and not isinstance(values, bool) else values


def _name(prefix: str, key: str, cells: list[Cell], methods: dict[str, catalogue.Method]) -> str:
    cell = cells[0]
    k = f"k{cell.k}" if len({cell.k for cell in cells}) == 1 else "any-k"
    what = cell.method if methods[cell.method].set else "defaults"
    if cell.swept is not None:
        what = f"{cell.method} at {cell.swept:g}"
    digits = hashlib.sha256(key.encode()).hexdigest()[:6]
    text = f"{prefix} {k} s{cell.seed} {what} {digits}"
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
