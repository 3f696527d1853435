"""The figures of each cell: which experiment was made with exactly its parameters, and what it scored."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from zeroshot.evaluation import results_table as shown
from zeroshot.experiments.comparison import catalogue, dvc_experiments, provenance, run_list

COLUMNS = (*(f"{group}.{figure}" for group in shown.GROUPS for figure in shown.FIGURES), "hIoU")
VANILLA = "vanilla.mIoU"


@dataclasses.dataclass(frozen=True)
class Result:
    """What one experiment says of one cell.

    Attributes:
        figures: column -> per cent, None where the experiment has no such figure.
        experiment: where they are from.
        changed: files of code that were other then than they are now.
    """

    figures: dict[str, float | None]
    experiment: dvc_experiments.Experiment
    changed: tuple[str, ...]


def metrics_path(model: str) -> str:
    """Return where the pipeline writes the figures of a model."""
    return f"metrics/{model}.json"


def results(
    root: pathlib.Path,
    cells: Iterable[run_list.Cell],
    methods: dict[str, catalogue.Method],
    found: Sequence[dvc_experiments.Experiment],
) -> dict[tuple[str, int, int, Any], Result]:
    """Return the result of every cell that has one, by method, K, seed and swept value.

    An experiment counts if all parameters that its figures were made with are those of the cell (`provenance`). Of several, one whose
    code has not changed since goes first, then one whose other stages have the cell's parameters, too, then the newest.

    Args:
        root: the repository, whose files are the code of now.
        cells: all cells.
        methods: by name.
        found: the experiments, the oldest first.
    """
    candidates = {model: _candidates(root, model, found) for model in {method.model for method in methods.values()}}
    chosen = {}
    for cell in cells:
        if cell.params is None:
            continue
        method = methods[cell.method]
        fitting = [
            (not one.changed, provenance.agrees(one.everything, cell.params), number, one)
            for number, one in enumerate(candidates[method.model])
            if provenance.agrees(one.origin.params, cell.params)
        ]
        if fitting:
            *_, best = max(fitting, key=lambda item: item[:3])
            content = best.experiment.metrics[metrics_path(method.model)]
            chosen[key(cell)] = Result(figures(content, method.figures), best.experiment, best.changed)
    return chosen


def key(cell: run_list.Cell) -> tuple[str, int, int, Any]:
    """Return what `results` finds a cell by."""
    return cell.method, cell.k, cell.seed, cell.swept


def figures(content: dict[str, Any], block: str) -> dict[str, float | None]:
    """Return the columns of one metrics file, from which DVC leaves out what is null; `block` is that of the generalised figures."""
    values = content[block]
    found = {f"{group}.{name}": (values.get(group) or {}).get(name) for group in shown.GROUPS for name in shown.FIGURES}
    return {**found, "hIoU": values.get("hIoU"), VANILLA: (content.get("vanilla") or {}).get("mIoU")}


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """An experiment that scored a model: what the figures were made from, which of that code has changed, and all its parameters."""

    experiment: dvc_experiments.Experiment
    origin: provenance.Origin
    changed: tuple[str, ...]
    everything: dict[str, Any]


def _candidates(root: pathlib.Path, model: str, found: Iterable[dvc_experiments.Experiment]) -> list[_Candidate]:
    """Return the experiments that scored `model`, in their order."""
    digests: dict[str, str | None] = {}
    candidates = []
    for experiment in found:
        if experiment.state != "done" or metrics_path(model) not in experiment.metrics:
            continue
        origin = provenance.origin(experiment.stages, metrics_path(model))
        if origin is not None:
            digests.update({path: _md5(root / path) for path, _ in origin.code if path not in digests})
            changed = sorted({path for path, digest in origin.code if digests[path] != digest})
            everything = provenance.parameters(experiment.stages)
            candidates.append(_Candidate(experiment, origin, tuple(changed), everything))
    return candidates


def _md5(path: pathlib.Path) -> str | None:
    return hashlib.md5(path.read_bytes()).hexdigest() if path.is_file() else None
