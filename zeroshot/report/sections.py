"""The sections of the page that need metrics and tables only; model_sections.py has those that run models."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zeroshot.evaluation import results_table
from zeroshot.report import blocks, charts, class_charts, run_record, sweeps, workspace
from zeroshot.words import class_embeddings
from zeroshot.zs3net.cross_validation import calibration

# The model whose figures come first: the best method that reads no unseen label.
_PREFERRED = ("zs5net", "zs3net")
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


def preferred(models: Sequence[str]) -> str:
    """Return the model to show first: ZS5Net, else ZS3Net, else the last."""
    return next((model for model in _PREFERRED if model in models), models[-1])


def scores(run: workspace.Workspace) -> blocks.Section:
    """Return the headline figures and the table of all models."""
    notes = [
        f"Metrics of {', '.join(f'`{model}`' for model in run.others)} belong to another split, so nothing of them is shown."
    ] * bool(run.others)
    if not run.metrics:
        return blocks.Section(
            "scores", "Scores", [*notes, "No model of this split is evaluated: `dvc repro` makes this section."]
        )
    best = preferred(list(run.metrics))
    block, vanilla = run.metrics[best]["generalised"], run.metrics[best]["vanilla"]
    low, high = block["hIoU_low"], block["hIoU_high"]
    interval = "" if low is None or high is None else f" ({low:.1f} to {high:.1f})"
    cards = [
        (blocks.number(block["hIoU"]), f"hIoU of {best}{interval}"),
        (blocks.number(block["seen"]["mIoU"]), "mIoU of seen classes"),
        (blocks.number(block["unseen"]["mIoU"]), "mIoU of unseen classes"),
        (blocks.number(vanilla and vanilla["mIoU"]), "vanilla: mIoU among unseen classes alone"),
    ]
    notes.append(
        "Per cent, over all evaluation images. hIoU is the harmonic mean of the mIoU of seen and of unseen classes, with its 95 %"
        " interval over resampled evaluation images. The feature oracle is trained with labels of unseen classes: it is an upper bound."
    )
    table = results_table.table(run.root / "metrics", run.root / "data/split.json")
    content = [blocks.Cards(cards), blocks.Figure(charts.scores(run.metrics)), _score_table(run)]
    return blocks.Section(
        "scores", "Scores", notes, [*content, blocks.Text("The table of `zeroshot results metrics`", table)]
    )


def _score_table(run: workspace.Workspace) -> blocks.Table:
    rows = []
    for model, values in run.metrics.items():
        block, vanilla = values["generalised"], values["vanilla"]
        groups = [block[group][metric] for group in ("seen", "unseen", "all") for metric in ("PA", "mIoU")]
        numbers = [block["hIoU"], values["without_bias"]["hIoU"], *groups, vanilla and vanilla["mIoU"]]
        rows.append([model, f"{values['seen_bias']:.3g}", *map(blocks.number, numbers)])
    groups = [f"{group} {metric}" for group in ("seen", "unseen", "all") for metric in ("PA", "mIoU")]
    return blocks.Table(["model", "seen bias", "hIoU", "hIoU, no bias", *groups, "vanilla mIoU"], rows)


def classes(run: workspace.Workspace) -> blocks.Section:
    """Return the IoU of each class."""
    ious = {
        model: {row["class"]: workspace.number(path, row, "IoU") for row in workspace.table(path, ("class", "IoU"))}
        for model, path in run.models("metrics/{}_classes.csv").items()
        if model in run.metrics
    }
    if not ious:
        return blocks.Section("classes", "IoU by class", ["`dvc repro` makes this section: it evaluates the models."])
    unseen = [run.split.classes[label] for label in run.split.unseen]
    values = ious[preferred(list(ious))]
    order = sorted(run.split.classes, key=lambda name: (name not in unseen, _last(values.get(name))))
    notes = [
        "Unseen classes (◆, shaded) are at the top. In each group the classes are sorted by the IoU of"
        f" `{preferred(list(ious))}`. A click on a model in the legend hides it."
    ]
    if len(order) > charts.MAX_ROWS:
        notes.append(f"The first {charts.MAX_ROWS} of {len(order)} classes are shown.")
    shown = order[: charts.MAX_ROWS]
    return blocks.Section("classes", "IoU by class", notes, [blocks.Figure(charts.classes(ious, unseen, shown))])


def _last(value: float | None) -> float:
    return np.inf if value is None else value


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
        "Loss by epoch. `live_kernels` is the share of active kernels of the generator's MMD; at 0 it learns nothing."
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


def p(run: workspace.Workspace, current: dict[str, Any]) -> blocks.Section:
    """Return hIoU against the percentage of pseudo-labels that are kept."""
    found = sweeps.of_comparisons(run, current)
    if run_record.has_repository(run.root) and "zs5net" in run.metrics:
        own = sweeps.of_experiments(run)
        found = [own, *found] if own else found
    notes = ["ZS5Net learns from the most confident p per cent of the pixels that ZS3Net labels as unseen classes."]
    if not found:
        how = "`dvc exp run --queue -S pseudo_labels.p=10,25,50,75`, then `dvc queue start`, makes this section."
        return blocks.Section("p", "hIoU against p", [*notes, how])
    figures = [blocks.Figure(charts.against_p(sweep.points, sweeps.PARAMETER)) for sweep in found]
    return blocks.Section("p", "hIoU against p", [*notes, *(sweep.source for sweep in found)], figures)


def confusion(run: workspace.Workspace) -> blocks.Section:
    """Return where the pixels of unseen classes go."""
    title = "Confusion of unseen classes"
    unseen = [run.split.classes[label] for label in run.split.unseen]
    figures = {}
    for model, path in run.models("metrics/{}_confusion.csv").items():
        if model not in run.metrics or not unseen:
            continue
        shares: dict[str, dict[str, float]] = {}
        for row in workspace.table(path, ("truth", "prediction", "share")):
            if row["truth"] in unseen:
                shares.setdefault(row["truth"], {})[row["prediction"]] = workspace.number(path, row, "share") or 0.0
        shown = [name for name in unseen if any(shares.get(name, {}).values())][: charts.MAX_ROWS]
        rows = {name: class_charts.destinations(shares[name], name, unseen) for name in shown}
        if rows:
            figures[model] = class_charts.confusion(rows)
    if not figures:
        how = "`dvc repro` makes this section." if unseen else "The split has no unseen class."
        return blocks.Section("confusion", title, [how])
    notes = ["Each bar is the true pixels of one unseen class, divided by the class that the model predicts there."]
    return blocks.Section("confusion", title, notes, [blocks.Choice("Model", figures, preferred(list(figures)))])


def pseudo_labels(run: workspace.Workspace) -> blocks.Section:
    """Return the precision of the pseudo-labels."""
    title, path = "Pseudo-labels", run.file("metrics/pseudo_labels.csv")
    rows = (
        workspace.table(path, ("class", "pixels", "precision", "coverage"))
        if path and "zs5net" not in run.others
        else []
    )
    if path is None or not rows:
        return blocks.Section("pseudo", title, ["`dvc repro report_pseudo_labels` makes this section."])
    cells = [
        [
            row["class"],
            f"{workspace.number(path, row, 'pixels') or 0:,.0f}",
            *(blocks.number(workspace.number(path, row, column)) for column in ("precision", "coverage")),
        ]
        for row in rows
    ]
    notes = [
        "The labels from which ZS5Net learns. Precision: the per cent of them that are right. Coverage: the per cent of the class's cells"
        " that have one. Both read unseen labels, for this table only; no stage reads it."
    ]
    table = blocks.Table(["class", "cells", "precision", "coverage"], cells)
    return blocks.Section("pseudo", title, notes, [table])


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
        near = {other for label in rows for other in np.argsort(-cosines[label])[:6].tolist()}
        columns = sorted(near | set(rows), key=columns.index)[: charts.MAX_ROWS]
        notes.append("Of many classes, the unseen ones are shown, and the classes nearest to them.")
    chart = class_charts.similarity(cosines[np.ix_(rows, columns)], _labels(run, rows), _labels(run, columns))
    return blocks.Section("similarity", title, notes, [blocks.Figure(chart, min_width=220 + 16 * len(columns))])


def _labels(run: workspace.Workspace, labels: Sequence[int]) -> list[str]:
    return [charts.class_name(run.split.classes[label], label in run.split.unseen) for label in labels]


def record(run: workspace.Workspace, parameters: Mapping[str, str]) -> blocks.Section:
    """Return what the run was made with; `parameters`: file name -> text of each parameter file."""
    texts = [blocks.Text(f"`{name}`", text) for name, text in parameters.items()]
    table = blocks.Table(["what", "value"], run_record.rows(run))
    notes = ["`dvc status` says whether the results still belong to these parameters."]
    return blocks.Section("record", "Parameters and origin", notes, [table, *texts])
