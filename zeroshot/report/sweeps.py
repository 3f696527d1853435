"""The metrics of ZS5Net at several values of p, the percentage of pseudo-labels that are kept: from DVC's experiments and tables."""

import copy
import dataclasses
import pathlib
from typing import Any

from zeroshot.base import params
from zeroshot.experiments import presets
from zeroshot.experiments.comparison import catalogue, collect, dvc_experiments, overrides, provenance
from zeroshot.report import workspace

PARAMETER = "pseudo_labels.p"
_METRICS = "metrics/zs5net.json"
# Metric of a chart -> its column in the table of runs of a comparison.
COLUMNS = {"seen mIoU": "seen.mIoU", "unseen mIoU": "unseen.mIoU", "hIoU": "hIoU"}
# Metric -> p -> values of single runs.
Points = dict[str, dict[float, list[float]]]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """One curve.

    Attributes:
        source: where its runs are from, as a sentence.
        points: the values.
    """

    source: str
    points: Points


def of_experiments(run: workspace.Workspace) -> Sweep | None:
    """Return the runs that differ from the one in the workspace by p and by seeds alone; None if there are not two values of p.

    Raises:
        errors.UserError: if DVC cannot list its experiments.
    """
    present = dvc_experiments.workspace(run.root)
    reference = None if present is None else _settings(present)
    if present is None or reference is None:
        return None
    points: Points = {metric: {} for metric in COLUMNS}
    n_runs = 0
    for experiment in (present, *dvc_experiments.read(run.root)):
        metrics = experiment.metrics.get(_METRICS)
        settings = _settings(experiment)
        # Metrics of older versions of this code do not name their split.
        if metrics is None or settings is None or metrics.get("split", {}).get("checksum") != run.checksum:
            continue
        if overrides.same(settings[1], reference[1]):
            n_runs += 1
            row = collect.metrics(metrics, "generalised")
            for metric, column in COLUMNS.items():
                score = row[column]
                if score is not None:
                    points[metric].setdefault(settings[0], []).append(score)
    source = (
        f"{n_runs} runs of ZS5Net that differ in `{PARAMETER}` and in seeds only: the workspace and DVC's experiments."
    )
    return Sweep(source, points) if len(points["hIoU"]) > 1 else None


def _settings(experiment: dvc_experiments.Experiment) -> tuple[float, dict[str, Any]] | None:
    """Return p, and all parameters of ZS5Net without p and seeds; None if its metrics are not those of its lock file."""
    origin = provenance.origin(experiment.stages, _METRICS)
    if origin is None or "pseudo_labels" not in origin.params:
        return None
    rest = _without_seeds(origin.params)
    return float(rest["pseudo_labels"].pop("p")), rest


def _without_seeds(values: dict[str, Any]) -> dict[str, Any]:
    copied = copy.deepcopy(values)
    return {
        key: _without_seeds(value) if isinstance(value, dict) else value
        for key, value in copied.items()
        if key.rpartition(".")[2] != "seed"
    }


def of_comparisons(run: workspace.Workspace, current: dict[str, Any]) -> list[Sweep]:
    """Return the curves of the comparisons in metrics/comparison whose data and unseen classes are those of `current`.

    Args:
        run: the workspace.
        current: the content of params.yaml.

    Raises:
        errors.UserError: if a file of a comparison is invalid.
    """
    tables = sorted((run.root / "metrics/comparison").glob("*/runs.csv"))
    folder = run.root / catalogue.FOLDER
    if not tables or not (folder / "tables.yaml").exists():
        return []
    methods, known = catalogue.methods(folder), params.read(folder / "tables.yaml")
    return [
        sweep
        for path in tables
        if path.parent.name in known
        and (sweep := _of_comparison(path, catalogue.comparison(folder, path.parent.name, methods), run.root, current))
    ]


def _of_comparison(
    path: pathlib.Path, comparison: catalogue.Comparison, root: pathlib.Path, current: dict[str, Any]
) -> Sweep | None:
    sweep = comparison.sweep
    if sweep is None or sweep.parameter != PARAMETER:
        return None
    preset = presets.read_files(comparison.preset, root)
    goal = overrides.merged(preset, {**comparison.set, **comparison.splits[sweep.k]})[overrides.MAIN]
    same = [overrides.same(goal.get(name), current.get(name)) for name in ("data", "toy", "labels", "evaluation")]
    if not all(same):
        return None
    points: Points = {metric: {} for metric in COLUMNS}
    for row in workspace.table(path, ("method", "k", "swept", *COLUMNS.values())):
        value = workspace.number(path, row, "swept")
        if row["method"] not in sweep.methods or row["k"] != str(sweep.k) or value is None:
            continue
        for metric, column in COLUMNS.items():
            score = workspace.number(path, row, column)
            if score is not None:
                points[metric].setdefault(value, []).append(score)
    source = (
        f"The comparison `{path.parent.name}` on the same data and unseen classes, over its seeds, as `zeroshot tables"
        f" {path.parent.name}` recorded it. Its runs are not the one in the workspace."
    )
    return Sweep(source, points) if len(points["hIoU"]) > 1 else None
