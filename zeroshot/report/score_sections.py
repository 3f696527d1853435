"""The sections of scores: all models, single classes, confusion, and the precision of pseudo-labels."""

import numpy as np

from zeroshot.evaluation import results_table
from zeroshot.networks import pretraining
from zeroshot.report import blocks, charts, class_charts, workspace


def scores(run: workspace.Workspace) -> blocks.Section:
    """Return the headline figures and the table of all models."""
    notes = [
        f"Metrics of {', '.join(f'`{model}`' for model in run.others)} belong to another split, so nothing of them is shown."
    ] * bool(run.others)
    if not run.metrics:
        return blocks.Section(
            "scores", "Scores", [*notes, "No model of this split is evaluated: `dvc repro` makes this section."]
        )
    best = workspace.preferred(list(run.metrics))
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
    recorded = {values["pretraining"] for values in run.metrics.values()}
    notes += [sentence for kind, sentence in pretraining.SENTENCES.items() if kind in recorded]
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
    values = ious[workspace.preferred(list(ious))]
    # Without a background, label 0 is a place holder and no class.
    names = [run.split.classes[label] for label in (*run.split.seen, *run.split.unseen)]
    order = sorted(names, key=lambda name: (name not in unseen, _last(values.get(name))))
    notes = [
        "Unseen classes (◆, shaded) are at the top. In each group the classes are sorted by the IoU of"
        f" `{workspace.preferred(list(ious))}`. A click on a model in the legend hides it."
    ]
    if len(order) > charts.MAX_ROWS:
        notes.append(f"The first {charts.MAX_ROWS} of {len(order)} classes are shown.")
    shown = order[: charts.MAX_ROWS]
    return blocks.Section("classes", "IoU by class", notes, [blocks.Figure(charts.classes(ious, unseen, shown))])


def _last(value: float | None) -> float:
    return np.inf if value is None else value


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
        how = "No evaluated image shows an unseen class." if run.metrics else "`dvc repro` makes this section."
        how = how if unseen else "The split has no unseen class."
        return blocks.Section("confusion", title, [how])
    notes = ["Each bar is the true pixels of one unseen class, divided by the class that the model predicts there."]
    return blocks.Section(
        "confusion", title, notes, [blocks.Choice("Model", figures, workspace.preferred(list(figures)))]
    )


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
        "The labels from which ZS5Net learns. Precision: the per cent of them that are right. Coverage: the per cent of the class's pixels"
        " in unlabelled images that have the right one. Both read unseen labels, for this table only; no stage reads it."
    ]
    table = blocks.Table(["class", "labels", "precision", "coverage"], cells)
    return blocks.Section("pseudo", title, notes, [table])
