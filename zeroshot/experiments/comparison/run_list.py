"""The runs that a comparison needs: methods x K x seeds, those with equal parameters being one run."""

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
    """One figure's place in the tables, and what makes it.

    Attributes:
        method: its name.
        k: the number of unseen classes.
        seed: that of every stage.
        swept: the value of the sweep's parameter; None in the tables.
        params: the whole parameter file; None if `lacking` names keys that it does not have.
        lacking: those keys.
    """

    method: str
    k: int
    seed: int
    swept: Any
    params: dict[str, Any] | None
    lacking: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of the pipeline (of `target`, if it is not the root's), and the cells that it fills."""

    name: str
    params: dict[str, Any]
    target: str | None
    cells: tuple[Cell, ...]

    def serves(
        self, methods: Collection[str] | None, ks: Collection[int] | None, seeds: Collection[int] | None
    ) -> bool:
        """Return whether one of its cells is of one of the methods, Ks and seeds; None stands for all."""
        return any(
            (methods is None or cell.method in methods)
            and (ks is None or cell.k in ks)
            and (seeds is None or cell.seed in seeds)
            for cell in self.cells
        )


def cells(comparison: catalogue.Comparison, methods: dict[str, catalogue.Method], base: dict[str, Any]) -> list[Cell]:
    """Return every cell of a comparison, by K, then by seed, then in the order of the methods.

    Args:
        comparison: the tables.
        methods: by name.
        base: the parameter file that the runs start from.

    Raises:
        errors.UserError: if `base` lacks a key that the comparison itself sets. A key that only a method sets is `Cell.lacking`.
    """
    try:
        shared = overrides.merged(base, comparison.set)
        splits = {k: overrides.merged(shared, changes) for k, changes in comparison.splits.items()}
    except KeyError as error:
        raise errors.UserError(
            f"preset {comparison.preset}: has no key {', '.join(error.args)}, which the tables set"
        ) from error
    seeds = overrides.seed_keys(base, comparison.fixed_seeds)
    found = []
    for k, split in splits.items():
        for seed in comparison.seeds:
            start = overrides.merged(split, dict.fromkeys(seeds, seed))
            found += [_cell(start, name, k, seed, None, methods[name].set) for name in comparison.methods]
            sweep = comparison.sweep
            if sweep and sweep.k == k:
                changes = methods[sweep.method].set
                found += [
                    _cell(start, sweep.method, k, seed, value, changes | {sweep.parameter: value})
                    for value in sweep.values
                ]
    return found


def _cell(start: dict[str, Any], method: str, k: int, seed: int, swept: Any, changes: dict[str, Any]) -> Cell:
    try:
        return Cell(method, k, seed, swept, overrides.merged(start, changes))
    except KeyError as error:
        return Cell(method, k, seed, swept, None, error.args)


def runs(
    prefix: str,
    wanted: Iterable[Cell],
    methods: dict[str, catalogue.Method],
    keys: Mapping[str, Collection[str] | None],
) -> list[Run]:
    """Return the runs that fill the cells, in the order of their first cells.

    Each set of parameters is run once, and none that differs only in what its cells' figures do not depend on: without a seed of its
    own, a network without unseen classes is one run for all seeds.

    Args:
        prefix: opens the name of every run; the K (`any-k` for a run that serves several), the seed and what is special about the
            run follow, then six digits of a hash of its parameters, so that runs of other parameters never share a name.
        wanted: cells; those that lack keys are passed over.
        methods: by name.
        keys: model -> the keys of the parameter file that its figures depend on; None or not there for all.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in wanted:
        if cell.params is not None:
            groups.setdefault(_key(cell.params, methods[cell.method].target), []).append(cell)
    kept: dict[str, list[Cell]] = {}
    for key, group in groups.items():
        serving = [_serving(cell, kept, methods, keys) for cell in group]
        if None in serving:
            kept[key] = group
            continue
        for cell, other in zip(group, serving, strict=True):
            if other is not None:
                kept[other].append(cell)
    return [
        Run(_name(prefix, key, group, methods), group[0].params or {}, methods[group[0].method].target, tuple(group))
        for key, group in kept.items()
    ]


def _serving(
    cell: Cell,
    kept: Mapping[str, list[Cell]],
    methods: dict[str, catalogue.Method],
    keys: Mapping[str, Collection[str] | None],
) -> str | None:
    """Return the key of a run that gives the cell's figures, None if there is none yet."""
    method = methods[cell.method]
    relevant = keys.get(method.model)
    if relevant is None or cell.params is None:
        return None
    for key, others in kept.items():
        other = others[0].params or {}
        same = all(overrides.same(overrides.at(cell.params, name), overrides.at(other, name)) for name in relevant)
        if same and methods[others[0].method].target == method.target:
            return key
    return None


def _key(params: dict[str, Any], target: str | None) -> str:
    """Return one text for runs that would do the same; `runtime` says where to run, not what."""
    tracked = {section: values for section, values in params.items() if section != "runtime"}
    return json.dumps([_as_floats(tracked), target], sort_keys=True)


def _as_floats(values: Any) -> Any:
    """Return parameter values with every number as a float: 25 and 25.0 are the same setting."""
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
