"""The sections of the page that need models and cached features: confidences, features in one plane, the browser over images."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from zeroshot.base import checkpoints, errors, progress
from zeroshot.cache import index, maps, rows
from zeroshot.evaluation import example_images, image_confusions
from zeroshot.figures import examples
from zeroshot.images import image_files, label_ids
from zeroshot.report import blocks, class_charts, features_plane, image_browser, reliability, workspace
from zeroshot.words import class_embeddings
from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.generators import registry

# Largest number of images in the browser, and of those that confidences are measured on.
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
    cache = list(maps.read(found.folder, images))
    figures = {
        model: class_charts.confidence(reliability.measure(classifier, cache, found.index.stride))
        for model, classifier in progress.track(
            found.classifiers.items(), "report (models)", total=len(found.classifiers)
        )
    }
    notes = [
        f"The confidence of a pixel is the softmax probability of its label, as in `zeroshot predict`. Pixels of {len(cache)} of"
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
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise errors.UserError(f"--classes: the split has no class {', '.join(f'`{name}`' for name in unknown)}")
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
    real |= features_plane.of_cells(maps.read(found.folder, images), unseen, found.index.stride, _POINTS)
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


def browser(
    run: workspace.Workspace, found: Evaluation | None, data_root: pathlib.Path, options: example_images.Params
) -> blocks.Section:
    """Return the browser over evaluation images.

    Args:
        run: the workspace.
        found: the evaluation images.
        data_root: folder of the data set.
        options: the section `visualise`: its seed chooses the images if there are too many.
    """
    title = "Evaluation images"
    confusions = {} if found is None else _confusions(run, found)
    if found is None or not confusions:
        return blocks.Section("images", title, ["`dvc repro evaluate` makes this section."])
    chosen = _choose(run, found, options)
    notes = [
        "The slider wipes between the truth on the left and the model on the right. Scores are of this image alone, in per cent, over the"
        " classes that it shows; hIoU needs a seen and an unseen class in the image. Pixels in pale yellow have no label and do not count."
    ]
    if len(chosen) < len(found.index.images):
        notes.append(
            f"{len(chosen)} of {len(found.index.images)} images, chosen by their masks alone: some with each unseen class and some without."
        )
    try:
        content = image_browser.data(run.split, _images(run, found, chosen, list(confusions), data_root), confusions)
    except image_files.ImageError as error:
        return blocks.Section(
            "images", title, [f"Not shown: {error}. The photographs are below `data.root`, {data_root}."]
        )
    if content["differing"]:
        notes.append(
            f"The label maps of {', '.join(f'`{model}`' for model in content['differing'])} are not those that its scores were computed"
            " from: `dvc repro evaluate` makes both fit."
        )
    content["start"] = workspace.preferred(list(confusions))
    return blocks.Section("images", title, notes, [blocks.Browser(content)])


def _confusions(run: workspace.Workspace, found: Evaluation) -> dict[str, image_confusions.ImageConfusions]:
    """Return the confusion matrices of images of each model that has metrics of this split and a classifier."""
    paths = run.models("metrics/{}_images.h5")
    read = {
        model: image_confusions.read(path)
        for model, path in paths.items()
        if model in run.metrics and model in found.classifiers
    }
    return {model: one for model, one in read.items() if set(one.images) == set(found.index.images)}


def _choose(run: workspace.Workspace, found: Evaluation, options: example_images.Params) -> list[str]:
    if len(found.index.images) <= MAX_IMAGES:
        return found.index.images
    n_seen = MAX_IMAGES // 5
    per_class = max(1, (MAX_IMAGES - n_seen) // max(1, len(run.split.unseen)))
    more = dataclasses.replace(options, images_per_class=per_class, seen_images=n_seen)
    return example_images.choose(maps.read_masks(found.folder), run.split.unseen, more)[:MAX_IMAGES]


def _images(
    run: workspace.Workspace, found: Evaluation, chosen: Sequence[str], models: Sequence[str], data_root: pathlib.Path
) -> Iterator[tuple[str, np.ndarray, np.ndarray, Mapping[str, np.ndarray]]]:
    """Yield what `image_browser.data` takes."""
    files = {item.id: data_root / item.image for item in run.split.val}
    for item in progress.track(maps.read(found.folder, chosen), "report (images)", total=len(chosen)):
        size = (item.mask.shape[0], item.mask.shape[1])
        predictions = {
            model: pixel_classifier.predict_maps(
                found.classifiers[model], item.features, size, stride=found.index.stride
            )["generalised"].astype(label_ids.DTYPE)
            for model in models
        }
        yield item.image, image_files.read_image(files[item.image]), item.mask, predictions
