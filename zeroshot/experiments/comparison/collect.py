"""The metrics of each cell: find the experiment that ran with the parameters of the cell."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from zeroshot.evaluation import metrics_files
from zeroshot.experiments.comparison import (
    catalogue,
    dvc_experiments,
    model_files,
    overrides,
    provenance,
    run_list,
)

COLUMNS = (*(f"{group}.{name}" for group in metrics_files.GROUPS for name in metrics_files.FIGURES), "hIoU")
VANILLA = "vanilla.mIoU"


@dataclasses.dataclass(frozen=True)
class Result:
    """The metrics of one cell and the experiment that they come from.

    Attributes:
        metrics: column -> per cent; None if the experiment has no such metric.
        pretraining: what the encoder was pretrained with; None for runs of before that was recorded.
        experiment: the experiment.
        changed: files of code that have changed since the experiment.
    """

    metrics: dict[str, float | None]
    pretraining: str | None
    experiment: dvc_experiments.Experiment
    changed: tuple[str, ...]


def results(
    root: pathlib.Path,
    cells: Iterable[run_list.Cell],
    methods: dict[str, catalogue.Method],
    experiments: Sequence[dvc_experiments.Experiment],
) -> dict[tuple[str, int, int, Any], Result]:
    """Return the result of every cell that has one, by method, K, seed and swept value.

    An experiment matches a cell if all parameters on which its metrics depend have the values of the cell (`provenance`). Among several
    matches, one with unchanged code is preferred, then one whose other parameters in the same files match too, then the newest.

    Args:
        root: the repository, with the present code.
        cells: all cells.
        methods: all methods by name.
        experiments: all experiments, the oldest first.
    """
    candidates = {
        model: _candidates(root, model, experiments) for model in {method.model for method in methods.values()}
    }
    best_results = {}
    for cell in cells:
        if cell.params is None:
            continue
        method = methods[cell.method]
        matches = [
            (not one.changed, provenance.matches(_of_files(one.all_params, cell.params), cell.params), number, one)
            for number, one in enumerate(candidates[method.model])
            if provenance.matches(one.origin.params, cell.params)
        ]
        if matches:
            *_, best = max(matches, key=lambda item: item[:3])
            content = best.experiment.metrics[model_files.metrics(method.model)]
            best_results[key(cell)] = Result(
                metrics(content, method.figures), content.get("pretraining"), best.experiment, best.changed
            )
    return best_results


def _of_files(values: dict[str, Any], files: overrides.Files) -> dict[str, Any]:
    return {name: values[name] for name in overrides.of_files(values, files)}


def key(cell: run_list.Cell) -> tuple[str, int, int, Any]:
    """Return the key of a cell in the mapping that `results` returns."""
    return cell.method, cell.k, cell.seed, cell.swept


def metrics(content: dict[str, Any], block: str) -> dict[str, float | None]:
    """Return the metrics of one file by column; DVC omits those that are null.

    Args:
        content: the content of the metrics file.
        block: `generalised` or `without_bias`.
    """
    values = content[block]
    by_group = {
        f"{group}.{name}": (values.get(group) or {}).get(name)
        for group in metrics_files.GROUPS
        for name in metrics_files.FIGURES
    }
    return {**by_group, "hIoU": values.get("hIoU"), VANILLA: (content.get("vanilla") or {}).get("mIoU")}


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """An experiment that scored a model: the origin of its metrics, the code changed since, and the parameters of all stages."""

    experiment: dvc_experiments.Experiment
    origin: provenance.Origin
    changed: tuple[str, ...]
    all_params: dict[str, Any]


def _candidates(root: pathlib.Path, model: str, experiments: Iterable[dvc_experiments.Experiment]) -> list[_Candidate]:
    """Return the experiments that scored `model`, in the order of `experiments`."""
    digests: dict[str, str | None] = {}
    candidates = []
    for experiment in experiments:
        if experiment.state != "done" or model_files.metrics(model) not in experiment.metrics:
            continue
        origin = provenance.origin(experiment.stages, model_files.metrics(model))
        if origin is not None:
            digests.update({path: _md5(root / path) for path, _ in origin.code if path not in digests})
            changed = sorted({path for path, digest in origin.code if digests[path] != digest})
            all_params = provenance.parameters(experiment.stages)
            candidates.append(_Candidate(experiment, origin, tuple(changed), all_params))
    return candidates


def _md5(path: pathlib.Path) -> str | None:
    return hashlib.md5(path.read_bytes()).hexdigest() if path.is_file() else None
