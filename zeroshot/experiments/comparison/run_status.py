"""The results that a comparison has and the runs that are missing."""

import dataclasses
import pathlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from zeroshot.experiments import presets
from zeroshot.experiments.comparison import catalogue, collect, dvc_experiments, model_files, overrides, run_list

# Pipeline -> a model whose metrics depend on its network, and on nothing else that a comparison varies.
_NETWORKS = {"": "seen_only", "szn": "szn/fcn_je"}


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
        networks: number of networks that the missing runs train, of both pipelines; runs with the same parameters up to the network
            share one.
        queued: names of the missing runs that are in DVC's queue.
        unavailable: method -> the reason why the pipeline cannot run it.
        unused: names of finished experiments that no cell uses.
        failed: number of failed experiments.
        current: content of the parameter files.
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
    current: overrides.Files


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
    current = presets.current_files(root)
    cells = run_list.cells(comparison, methods, presets.read_files(comparison.preset, root))
    experiments = dvc_experiments.read(root)
    present = dvc_experiments.workspace(root) if workspace else None
    results = collect.results(root, cells, methods, [*([present] if present else []), *experiments])
    models = {method.model for method in methods.values()}
    keys = dvc_experiments.metric_parameters(root)
    unavailable = _unavailable(root, comparison.preset, cells, methods, keys)
    unfilled = [cell for cell in cells if cell.method not in unavailable and collect.key(cell) not in results]
    finished = [cell for cell in cells if cell.params is not None and collect.key(cell) in results]
    missing = run_list.runs(name, unfilled, methods, {model: keys.get(model_files.metrics(model)) for model in models})
    used = {result.experiment.rev for result in results.values()}
    return RunStatus(
        root=root,
        name=name,
        comparison=comparison,
        methods=methods,
        results=results,
        missing=missing,
        networks=sum(
            n_networks(
                [run.params for run in missing if _pipeline(run.cells[0], methods) == pipeline],
                [cell.params or {} for cell in finished if _pipeline(cell, methods) == pipeline],
                keys.get(model_files.metrics(model), frozenset()),
            )
            for pipeline, model in _NETWORKS.items()
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


def _pipeline(cell: run_list.Cell, methods: dict[str, catalogue.Method]) -> str:
    return model_files.pipeline(methods[cell.method].model)


def n_networks(
    missing: Iterable[overrides.Files], finished: Iterable[overrides.Files], relevant: Collection[str]
) -> int:
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
    preset: str,
    cells: list[run_list.Cell],
    methods: dict[str, catalogue.Method],
    keys: Mapping[str, Collection[str]],
) -> dict[str, str]:
    """Return method -> the reason why it cannot run: a missing key, pipeline or preset, or no stage that scores its model."""
    reasons = {}
    for cell in cells:
        path, target = model_files.metrics(methods[cell.method].model), methods[cell.method].target
        if cell.params is None:
            reasons[cell.method] = f"the parameter file has no key {', '.join(cell.missing_keys)}"
        elif target and target.endswith(".yaml") and not (root / target).exists():
            reasons[cell.method] = f"{target} does not exist"
        elif path not in keys:
            reasons[cell.method] = f"no stage writes {path}"
        elif absent := {overrides.split(key)[0] for key in keys[path]} - cell.params.keys():
            reasons[cell.method] = f"{', '.join(sorted(absent))} has no preset `{preset}`"
    return reasons
