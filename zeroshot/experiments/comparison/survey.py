"""What has been run for a comparison, and what it still lacks."""

import dataclasses
import pathlib
from collections.abc import Container
from typing import Any

from zeroshot.base import params
from zeroshot.experiments import presets
from zeroshot.experiments.comparison import catalogue, collect, dvc_experiments, run_list


@dataclasses.dataclass(frozen=True)
class Survey:
    """A comparison, what has been run for it and what has not.

    Attributes:
        root: the repository.
        name: of the comparison in tables.yaml.
        comparison: what it shows.
        methods: all methods by name.
        results: by method, K, seed and swept value.
        missing: runs that have at least one cell without a result.
        waiting: names of those that DVC has queued.
        unavailable: method -> why the pipeline cannot run it.
        other: names of finished experiments whose figures belong to no cell.
        failed: number of failed experiments.
        current: params.yaml as it is.
    """

    root: pathlib.Path
    name: str
    comparison: catalogue.Comparison
    methods: dict[str, catalogue.Method]
    results: dict[tuple[str, int, int, Any], collect.Result]
    missing: list[run_list.Run]
    waiting: set[str]
    unavailable: dict[str, str]
    other: list[str]
    failed: int
    current: dict[str, Any]


def take(root: pathlib.Path, name: str) -> Survey:
    """Compare what a comparison needs with DVC's experiments.

    Args:
        root: the repository, with methods.yaml and tables.yaml in presets/comparison.
        name: the comparison.

    Raises:
        errors.UserError: if a file does not fit, or DVC cannot list its experiments.
    """
    folder = root / catalogue.FOLDER
    methods = catalogue.methods(folder)
    comparison = catalogue.comparison(folder, name, methods)
    current = params.read(root / "params.yaml")
    cells = run_list.cells(comparison, methods, presets.read(comparison.preset, root / presets.FOLDER))
    found = dvc_experiments.read(root)
    results = collect.results(root, cells, methods, found)
    models = {method.model for method in methods.values()}
    keys = dvc_experiments.metric_parameters(root)
    unavailable = _unavailable(root, cells, methods, keys)
    lacking = [cell for cell in cells if cell.method not in unavailable and collect.key(cell) not in results]
    missing = run_list.runs(name, lacking, methods, {model: keys.get(collect.metrics_path(model)) for model in models})
    used = {result.experiment.rev for result in results.values()}
    return Survey(
        root=root,
        name=name,
        comparison=comparison,
        methods=methods,
        results=results,
        missing=missing,
        waiting={experiment.name for experiment in found if experiment.state == "waiting"}
        & {run.name for run in missing},
        unavailable=unavailable,
        other=[experiment.name for experiment in found if experiment.state == "done" and experiment.rev not in used],
        failed=sum(experiment.state == "failed" for experiment in found),
        current=current,
    )


def _unavailable(
    root: pathlib.Path,
    cells: list[run_list.Cell],
    methods: dict[str, catalogue.Method],
    scored: Container[str],
) -> dict[str, str]:
    """Return why methods cannot be run: the parameter file lacks a key that they set, or no stage scores their model."""
    reasons = {}
    for cell in cells:
        path, target = collect.metrics_path(methods[cell.method].model), methods[cell.method].target
        if cell.lacking:
            reasons[cell.method] = f"the parameter file has no key {', '.join(cell.lacking)}"
        elif target and not (root / target).exists():
            reasons[cell.method] = f"{target} is not there"
        elif path not in scored:
            reasons[cell.method] = f"no stage writes {path}"
    return reasons
