"""The sections of the page that need models and cached features: confidences, and features in one plane."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from zeroshot.base import checkpoints, progress
from zeroshot.cache import index, maps, rows
from zeroshot.figures import examples, near_names
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.report import blocks, class_charts, features_plane, image_browser, reliability, workspace
from zeroshot.words import class_embeddings
from zeroshot.zs3net.generators import registry

# Largest number of images that confidences are measured on.
MAX_IMAGES = 60
# Features of each class and kind in the plane.
_POINTS = 120


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The cache of evaluation images and the classifiers that fit it.

    Attributes:
        folder: the cache of feature maps.
        index: its index.
        classifiers: by model.
        faults: a sentence for each classifier that does not fit, because it is of another run or another network.
    """

    folder: pathlib.Path
    index: index.Index
    classifiers: dict[str, pixel_classifier.PixelClassifier]
    faults: tuple[str, ...]


def evaluation(run: workspace.Workspace, device: torch.device) -> Evaluation | None:
    """Return the cache of evaluation images and the classifiers of the run, on `device`; None without a cache of this split.

    Raises:
        errors.UserError: if the cache is damaged.
    """
    described = _cache(run, "val", "maps")
    if described is None or not set(described.images) <= {item.id for item in run.split.val}:
        return None
    classifiers, faults = {}, []
    for model, path in run.models("models/classifiers/{}.pt").items():
        try:
            classifiers[model] = examples.load(path, run.split, described).to(device)
        except checkpoints.CheckpointError as error:
            faults.append(f"Not shown: {error}.")
    return Evaluation(run.root / "features/val", described, classifiers, tuple(faults))


def _cache(run: workspace.Workspace, name: str, kind: str) -> index.Index | None:
    """Return the index of a cache in features/; None if there is none, or it has other classes than the split."""
    folder = run.root / "features" / name
    if not (folder / index.NAME).exists():
        return None
    described = index.read(folder, kind)
    return described if tuple(described.classes) == run.split.classes[: len(described.classes)] else None


def confidences(found: Evaluation | None) -> blocks.Section:
    """Return accuracy against confidence for each model."""
    title = "Reliability of confidences"
    if found is None or not found.classifiers:
        faults = () if found is None else found.faults
        how = "`dvc repro finetune_classifier dump_features` makes this section."
        return blocks.Section("reliability", title, [how, *faults])
    images = image_browser.by_hash(found.index.images, MAX_IMAGES)
    cache = progress.track(maps.read(found.folder, images), "report (reliability)", total=len(images))
    measured = reliability.measure(found.classifiers, cache, found.index.stride)
    figures = {model: class_charts.confidence(sums) for model, sums in measured.items()}
    notes = [
        f"The confidence of a pixel is the probability of its label, as in `zeroshot predict`. Pixels of {len(images)} of"
        f" {len(found.index.images)} evaluation images, chosen by a hash of their names, are sorted by it. Points on the dashed line can"
        " be trusted; points below it are too sure of themselves. The error in the legend is the expected calibration error."
    ]
    chosen = workspace.preferred(list(figures))
    return blocks.Section("reliability", title, [*notes, *found.faults], [blocks.Choice("Model", figures, chosen)])


def plane(
    run: workspace.Workspace, found: Evaluation | None, chosen: Sequence[str], device: torch.device
) -> blocks.Section:
    """Return real and synthetic features of some classes in one plane.

    Args:
        run: the workspace.
        found: the evaluation images.
        chosen: names of classes; without any, unseen classes and their nearest seen ones are shown.
        device: where to sample synthetic features.

    Raises:
        errors.UserError: if a chosen class is not one of the split.
    """
    title, names = "Real and synthetic features", run.split.classes
    near_names.check("--classes", "class", chosen, names)
    vectors, gmmn = run.file("data/class_embeddings.h5"), run.file("models/gmmn.pt")
    if vectors is None or found is None or _cache(run, "train", "rows") is None:
        return blocks.Section("plane", title, ["`dvc repro train_gmmn` makes this section."])
    embeddings = class_embeddings.read(vectors)
    if embeddings.names != names:
        return blocks.Section(
            "plane", title, ["The class vectors are of other classes: `dvc repro train_gmmn` makes this section."]
        )
    labels = [names.index(name) for name in chosen] or features_plane.choose(
        embeddings, run.split.seen, run.split.unseen
    )
    seen, unseen = ([label for label in labels if label in role] for role in (run.split.seen, run.split.unseen))
    real = features_plane.of_rows(rows.sample(run.root / "features/train", _POINTS, seed=0), seen)
    images = image_browser.by_hash(found.index.images, 4 * MAX_IMAGES)
    wanted = set(images)
    masks = ((image, mask) for image, mask in maps.read_masks(found.folder) if image in wanted)
    chosen_cells = features_plane.choose_cells(masks, unseen, found.index.stride, _POINTS)
    shown = [image for image in images if image in chosen_cells]
    real |= features_plane.of_cells(maps.read(found.folder, shown), chosen_cells)
    if sum(map(len, real.values())) < 2:
        return blocks.Section(
            "plane",
            title,
            ["No cached image shows one of the classes: `zeroshot report --classes NAME,NAME` shows others."],
        )
    notes = [
        "Dots are real features, crosses synthetic ones, in the plane of the first two principal components of the real ones. Those of"
        " seen classes are from training images. Those of unseen classes (◆) are from evaluation images with their true labels: they are"
        " shown here and train nothing. Crosses beside their dots mean a generator that misses the class. A click on the legend hides a"
        " class; `zeroshot report --classes NAME,NAME` shows other classes."
    ]
    synthetic: Mapping[int, np.ndarray] = {}
    if gmmn is None:
        notes.append("There is no generator yet: `dvc repro train_gmmn` adds synthetic features.")
    else:
        try:
            generator = registry.load(gmmn, device, names, found.index.dim)
            synthetic = features_plane.sample(generator, [label for label in labels if label in real], _POINTS)
        except checkpoints.CheckpointError as error:
            notes.append(f"No synthetic features: {error}.")
    made = features_plane.make({label: real[label] for label in labels if label in real}, synthetic, names)
    chart = class_charts.plane(made, [names[label] for label in run.split.unseen])
    return blocks.Section("plane", title, notes, [blocks.Figure(chart)])
