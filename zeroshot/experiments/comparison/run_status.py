"""The results that a comparison has and the runs that are missing."""

import dataclasses
import pathlib
from collections.abc import Collection, Container, Iterable
from typing import Any

from zeroshot.base import params
from zeroshot.experiments import presets
from zeroshot.experiments.comparison import catalogue, collect, dvc_experiments, overrides, run_list


@dataclasses.dataclass(frozen=True)
class RunStatus:
    """A comparison, its results and its missing runs.

    Attributes:
        root: the repository.
        name: name of the comparison in tables.yaml.
        comparison: the comparison.
        methods: all methods by name.
        results: results by method, K, seed and swept value.
        missing: runs with at least one cell without a result.
        networks: number of networks that the missing runs train; runs with the same parameters up to the network share one.
        queued: names of the missing runs that are in DVC's queue.
        unavailable: method -> the reason why the pipeline cannot run it.
        unused: names of finished experiments that no cell uses.
        failed: number of failed experiments.
        current: content of params.yaml.
    """

    root: pathlib.Path
    name: str
    comparison: catalogue.Comparison
    methods: dict[str, catalogue.Method]
    results: dict[tuple[str, int, int, Any], collect.Result]
    missing: list[run_list.Run]
    networks: int
    queued: set[str]
    unavailable: dict[str, str]
    unused: list[str]
    failed: int
    current: dict[str, Any]


def read(root: pathlib.Path, name: str, *, workspace: bool) -> RunStatus:
    """Assign DVC's experiments to the cells of a comparison and list the missing runs.

    Args:
        root: the repository, with methods.yaml and tables.yaml in presets/comparison.
        name: the comparison.
        workspace: the results in the folder itself count too, where no experiment has the same parameters and code. The next run
            replaces them.

    Raises:
        errors.UserError: if a file is invalid, or DVC cannot list its experiments.
    """
    folder = root / catalogue.FOLDER
    methods = catalogue.methods(folder)
    comparison = catalogue.comparison(folder, name, methods)
    current = params.read(root / "params.yaml")
    cells = run_list.cells(comparison, methods, presets.read(comparison.preset, root / presets.FOLDER))
    experiments = dvc_experiments.read(root)
    present = dvc_experiments.workspace(root) if workspace else None
    results = collect.results(root, cells, methods, [*([present] if present else []), *experiments])
    models = {method.model for method in methods.values()}
    keys = dvc_experiments.metric_parameters(root)
    unavailable = _unavailable(root, cells, methods, keys)
    unfilled = [cell for cell in cells if cell.method not in unavailable and collect.key(cell) not in results]
    missing = run_list.runs(name, unfilled, methods, {model: keys.get(collect.metrics_path(model)) for model in models})
    used = {result.experiment.rev for result in results.values()}
    return RunStatus(
        root=root,
        name=name,
        comparison=comparison,
        methods=methods,
        results=results,
        missing=missing,
        networks=n_networks(
            [run.params for run in missing],
            [cell.params for cell in cells if cell.params is not None and collect.key(cell) in results],
            keys.get(collect.metrics_path("seen_only"), frozenset()),
        ),
        queued={experiment.name for experiment in experiments if experiment.state == "waiting"}
        & {run.name for run in missing},
        unavailable=unavailable,
        unused=[
            experiment.name for experiment in experiments if experiment.state == "done" and experiment.rev not in used
        ],
        failed=sum(experiment.state == "failed" for experiment in experiments),
        current=current,
    )


def n_networks(missing: Iterable[dict[str, Any]], finished: Iterable[dict[str, Any]], relevant: Collection[str]) -> int:
    """Return the number of different networks of the missing runs that no finished run has trained.

    Args:
        missing: the parameters of each missing run.
        finished: the parameters of each finished one.
        relevant: keys on which the network and its score without zero-shot learning depend.
    """
    networks = [
        {run_list.text_of({name: overrides.at(one, name) for name in relevant}) for one in group}
        for group in (missing, finished)
    ]
    return len(networks[0] - networks[1])


def _unavailable(
    root: pathlib.Path,
    cells: list[run_list.Cell],
    methods: dict[str, catalogue.Method],
    scored: Container[str],
) -> dict[str, str]:
    """Return method -> the reason why it cannot run: a missing key, a missing pipeline, or no stage that scores its model."""
    reasons = {}
    for cell in cells:
        path, target = collect.metrics_path(methods[cell.method].model), methods[cell.method].target
        if cell.missing_keys:
            reasons[cell.method] = f"the parameter file has no key {', '.join(cell.missing_keys)}"
        elif target and target.endswith(".yaml") and not (root / target).exists():
            reasons[cell.method] = f"{target} does not exist"
        elif path not in scored:
            reasons[cell.method] = f"no stage writes {path}"
    return reasons
