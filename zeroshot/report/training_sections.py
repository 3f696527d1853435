"""The sections about how models came about: class vectors, training curves, the choice of the bias, and p."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zeroshot.pixel_classifiers.cross_validation import calibration
from zeroshot.report import blocks, charts, class_charts, run_record, sweeps, workspace
from zeroshot.words import class_embeddings

# Table of training curve -> the model that it belongs to, and its title.
_CURVES = {
    "backbone_curve": ("seen_only", "network on seen classes"),
    "gmmn_curve": ("zs3net", "feature generator"),
    "classifier_curve": ("zs3net", "ZS3Net's classifier"),
    "self_training_curve": ("zs5net", "ZS5Net's self-training"),
    "devise_curve": ("devise", "DeViSE"),
    "ale_curve": ("ale", "ALE"),
    "spnet_curve": ("spnet", "SPNet"),
    "feature_oracle_curve": ("feature_oracle", "feature oracle"),
}
# Columns of curves that number the epochs.
_EPOCHS = ("epoch", "round")
# Their biases are in multiples of the standard deviation of seen logits at one pixel.
_BASELINES = ("devise", "ale", "spnet")
# Table of cross-validation -> its model.
_CALIBRATIONS = {"calibration": "zs3net", "self_training_calibration": "zs5net"} | {
    f"{model}_calibration": model for model in (*_BASELINES, "feature_oracle")
}


def similarity(run: workspace.Workspace) -> blocks.Section:
    """Return cosines of class vectors."""
    title, path = "Similarity of class vectors", run.file("data/class_embeddings.h5")
    if path is None:
        return blocks.Section("similarity", title, ["`dvc repro embed_classes` makes this section."])
    embeddings = class_embeddings.read(path)
    if embeddings.names != run.split.classes:
        return blocks.Section(
            "similarity", title, ["The vectors are of other classes: `dvc repro embed_classes` makes them again."]
        )
    vectors = embeddings.vectors.astype(np.float64)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(float).tiny)
    cosines = unit @ unit.T
    seen = [label for label in run.split.seen if label != 0]
    notes = [
        "Cosines of the vectors of class names. An unseen class (◆) that is close to a seen one is easily taken for it. Classes whose"
        " vectors are nearly equal cannot be told apart by any method that starts from them."
    ]
    rows = [*run.split.unseen, *seen]
    columns = rows
    if len(rows) > charts.MAX_ROWS:
        rows = [*run.split.unseen, *seen][: min(charts.MAX_ROWS, max(len(run.split.unseen), 1))]
        near = {columns[place] for label in rows for place in np.argsort(-cosines[label, columns])[:6].tolist()}
        columns = sorted(near | set(rows), key=columns.index)[: charts.MAX_ROWS]
        notes.append("Of many classes, the unseen ones are shown, and the classes nearest to them.")
    chart = class_charts.similarity(cosines[np.ix_(rows, columns)], _labels(run, rows), _labels(run, columns))
    return blocks.Section("similarity", title, notes, [blocks.Figure(chart, min_width=220 + 16 * len(columns))])


def _labels(run: workspace.Workspace, labels: Sequence[int]) -> list[str]:
    return [charts.class_name(run.split.classes[label], label in run.split.unseen) for label in labels]


def curves(run: workspace.Workspace) -> blocks.Section:
    """Return the training curves."""
    figures = []
    for name, (model, title) in _CURVES.items():
        path = run.file(f"metrics/{name}.csv")
        if path is None or model in run.others:
            continue
        rows = workspace.table(path, ("loss",))
        if rows:
            series = {
                column: [workspace.number(path, row, column) for row in rows]
                for column in rows[0]
                if column == "loss" or (column not in _EPOCHS and name == "gmmn_curve")
            }
            figures.append(blocks.Figure(charts.training_curve(series), title))
    if not figures:
        return blocks.Section("curves", "Training", ["`dvc repro` makes this section: it trains the models."])
    notes = [
        "Loss by epoch. `active_kernels` is the share of the kernels of the generator's MMD that are active; at 0 it learns nothing."
    ]
    return blocks.Section("curves", "Training", notes, [blocks.Grid(figures)])


def bias(run: workspace.Workspace) -> blocks.Section:
    """Return hIoU of cross-validation against the seen bias."""
    title, figures = "hIoU against the seen bias", []
    for name, model in _CALIBRATIONS.items():
        path = run.file(f"metrics/{name}.csv")
        rows = workspace.table(path, ("held_out", "bias", "hIoU")) if path and model not in run.others else []
        folds: dict[str, dict[float, float | None]] = {}
        for row in rows:
            value = workspace.number(path, row, "bias") if path else None
            if path and value is not None:
                folds.setdefault(row["held_out"], {})[value] = workspace.number(path, row, "hIoU")
        if folds:
            unit = "spreads of seen logits" if model in _BASELINES else "logits"
            figures.append(blocks.Figure(charts.against_bias(folds, _chosen(folds), unit), model))
    if not figures:
        return blocks.Section(
            "bias", title, ["`dvc repro` makes this section, if `classifier.calibration.enabled` is true."]
        )
    notes = [
        "The bias is taken off the logits of seen classes. It is chosen where the mean over folds (black) is highest; a fold (grey) holds"
        " out seen classes of training images and treats them as unseen, so no unseen label is read. The feature oracle alone uses"
        " unseen labels. The sharper the peak, the more depends on the choice."
    ]
    return blocks.Section("bias", title, notes, [blocks.Grid(figures)])


def _chosen(folds: Mapping[str, Mapping[float, float | None]]) -> float | None:
    """Return the bias that the stage chose; None if a fold lacks a value."""
    biases = list(next(iter(folds.values())))
    values = [[fold.get(bias) for bias in biases] for fold in folds.values()]
    known = [[value for value in row if value is not None] for row in values]
    return calibration.choose(known, biases) if all(len(row) == len(biases) for row in known) else None


def against_p(run: workspace.Workspace, current: dict[str, Any]) -> blocks.Section:
    """Return hIoU against the percentage of pseudo-labels that are kept."""
    found = sweeps.of_comparisons(run, current)
    if run_record.has_repository(run.root) and "zs5net" in run.metrics:
        own = sweeps.of_experiments(run)
        found = [own, *found] if own else found
    notes = [
        "p is `pseudo_labels.p`: with the rules `per_image` and `per_dataset`, ZS5Net learns from the most confident p per cent of the"
        " pixels that ZS3Net labels."
    ]
    if not found:
        how = "`dvc exp run --queue -S pseudo_labels.p=10,25,50,75`, then `dvc queue start`, makes this section."
        return blocks.Section("p", "hIoU against p", [*notes, how])
    figures = [blocks.Figure(charts.against_p(sweep.points, sweeps.PARAMETER)) for sweep in found]
    return blocks.Section("p", "hIoU against p", [*notes, *(sweep.source for sweep in found)], figures)
