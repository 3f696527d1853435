"""The results that a comparison has and the runs that are missing."""

import dataclasses
import pathlib
from collections.abc import Collection, Mapping
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
        network_of_run: name of each missing run -> a text that is equal for runs that share a network, since their parameters are equal
            up to there.
        trained: these texts of the networks that finished runs have trained.
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
    network_of_run: dict[str, str]
    trained: frozenset[str]
    queued: set[str]
    unavailable: dict[str, str]
    unused: list[str]
    failed: int
    current: overrides.Files

    @property
    def n_networks(self) -> int:
        """The number of networks that the missing runs train: those that no finished run has trained."""
        return len({*self.network_of_run.values()} - self.trained)


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

    def network_keys(cell: run_list.Cell) -> tuple[str, Collection[str]]:
        """Return the pipeline of a cell's method, and the keys on which its network and its score without zero-shot learning depend."""
        model = methods[cell.method].model
        pipeline = model_files.pipeline(model)
        return pipeline, keys.get(model_files.metrics(_NETWORKS.get(pipeline, model)), frozenset())

    missing = run_list.runs(name, unfilled, methods, {model: keys.get(model_files.metrics(model)) for model in models})
    used = {result.experiment.rev for result in results.values()}
    return RunStatus(
        root=root,
        name=name,
        comparison=comparison,
        methods=methods,
        results=results,
        missing=missing,
        network_of_run={run.name: network(run.params, *network_keys(run.cells[0])) for run in missing},
        trained=frozenset(network(cell.params or {}, *network_keys(cell)) for cell in finished),
        queued={experiment.name for experiment in experiments if experiment.state == "waiting"}
        & {run.name for run in missing},
        unavailable=unavailable,
        unused=[
            experiment.name for experiment in experiments if experiment.state == "done" and experiment.rev not in used
        ],
        failed=sum(experiment.state == "failed" for experiment in experiments),
        current=current,
    )


def network(params: overrides.Files, pipeline: str, relevant: Collection[str]) -> str:
    """Return a text that is equal for runs of a pipeline that share a network: their `relevant` keys have equal values."""
    return run_list.text_of([pipeline, {name: overrides.at(params, name) for name in sorted(relevant)}])


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
