"""What a figure of example images shows: photograph, true labels, and the prediction and IoU of each model."""

import dataclasses
import pathlib
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import torch

from zeroshot.base import checkpoints, errors, storage
from zeroshot.cache import index, maps
from zeroshot.datasets import splits
from zeroshot.evaluation import example_images, metrics
from zeroshot.figures import near_names
from zeroshot.images import image_files, label_ids, pictures
from zeroshot.pixel_classifiers import labelling, pixel_classifier


@dataclasses.dataclass(frozen=True)
class Model:
    """A column of the figure.

    Attributes:
        title: its name for readers.
        path: the file of the classifier.
        protocol: `generalised` (with the model's seen bias) or `without_bias`.
    """

    title: str
    path: pathlib.Path
    protocol: str


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A model's answer for one image.

    Attributes:
        labels: (H, W) uint16.
        seen, unseen: mean IoU, in per cent, of the seen and the unseen classes with a true pixel in the image; None if it has none.
    """

    labels: np.ndarray
    seen: float | None
    unseen: float | None


@dataclasses.dataclass(frozen=True)
class Example:
    """A row of the figure.

    Attributes:
        id: of the image.
        image: (h, w, 3) uint8.
        truth: (H, W) uint16.
        predictions: one for each model.
    """

    id: str
    image: np.ndarray
    truth: np.ndarray
    predictions: tuple[Prediction, ...]


def choose(
    folder: pathlib.Path, split: splits.Split, n: int, options: example_images.Params, known: Collection[str]
) -> list[str]:
    """Return up to n ids chosen by the rule of `example_images`: in turn one image for each unseen class and one without unseen classes.

    Args:
        folder: cache of maps.
        split: the split.
        n: number of images.
        options: the section `visualise`; how many images it has for each class is not used.
        known: the ids in the cache.

    Raises:
        errors.UserError: if n is not from 1 to the number of images.
    """
    if not 1 <= n <= len(known):
        raise errors.UserError(f"--n: needs 1 to {len(known)}, the number of images in {folder}; found {n}")
    shares = example_images.shares(maps.read_masks(folder), split.unseen)
    chosen: dict[str, None] = {}
    for count in range(1, n + 1):
        per_class = dataclasses.replace(options, images_per_class=count, seen_images=count)
        before = len(chosen)
        chosen |= dict.fromkeys(example_images.by_shares(shares, per_class))
        if len(chosen) >= n or len(chosen) == before:
            break
    return list(chosen)[:n]


def read(
    ids: Sequence[str],
    models: Sequence[Model],
    folder: pathlib.Path,
    split: splits.Split,
    data_root: pathlib.Path,
    device: torch.device,
) -> list[Example]:
    """Read the images and let the models segment them.

    Args:
        ids: images of the cache, in the order of the rows.
        models: the columns.
        folder: cache of maps of the evaluation images.
        split: the split.
        data_root: root of the data set.
        device: where to compute.

    Raises:
        errors.UserError: if the cache is of another split, or an image or a model (`load`) cannot be read or does not fit.
    """
    described = index.read(folder, "maps")
    check(folder, described, split)
    near_names.check(str(folder), "image", ids, described.images)
    classifiers = [load(model.path, split, described).to(device) for model in models]
    files = {item.id: data_root / item.image for item in split.val}
    rows = {}
    for item in maps.read(folder, set(ids)):
        truth, predictions = pictures.cut_margin(item.mask, described.margin), []
        for model, classifier in zip(models, classifiers, strict=True):
            label_maps = labelling.predict_maps(classifier, item.features, item.mask.shape, stride=described.stride)
            labels = pictures.cut_margin(label_maps[model.protocol], described.margin)
            predictions.append(_scored(labels.astype(label_ids.DTYPE), truth, split))
        image = image_files.read_image(files[item.image])
        rows[item.image] = Example(item.image, image, truth, tuple(predictions))
    return [rows[name] for name in dict.fromkeys(ids)]


def load(path: pathlib.Path, split: splits.Split, described: index.Index) -> pixel_classifier.PixelClassifier:
    """Return the classifier of a model.

    A model with a network of its own, models/networks/NAME.pt beside models/classifiers/NAME.pt, fits only the features of that network.

    Args:
        path: the file of the classifier.
        split: the split that it must fit.
        described: the index of the cache that it must fit.

    Raises:
        checkpoints.CheckpointError: if it cannot be read, or fits another split or other features.
    """
    network = path.parent.parent / "networks" / path.name
    if network.exists() and described.provenance.get("backbone_sha256") != storage.sha256(network):
        raise checkpoints.CheckpointError(
            f"{path}: belongs to the network {network}, and the features are of another network; draw this model alone with"
            f" `zeroshot figure --models {path.stem} --features features/{path.stem}`"
        )
    return pixel_classifier.load(path, split, described.dim)[0]


def check(folder: pathlib.Path, described: index.Index, split: splits.Split) -> None:
    """Refuse a cache that was not dumped for this split.

    Raises:
        errors.UserError: if it has other classes or evaluation images.
    """
    listed = {item.id for item in split.val}
    missing = [name for name in described.images if name not in listed]
    cause = None
    # The cache knows no classes beyond the last one that an image shows.
    if described.classes != list(split.classes[: len(described.classes)]):
        cause = "its classes are not those of the split"
    elif missing:
        cause = f"{len(missing)} of its images, such as {missing[0]}, are no evaluation images of the split"
    if cause:
        raise errors.UserError(
            f"{folder}: is of another split: {cause}; make both again with `dvc repro dump_features`"
        )


def _scored(labels: np.ndarray, truth: np.ndarray, split: splits.Split) -> Prediction:
    scores = metrics.summarise(metrics.confusion(truth, labels, len(split.classes)), split.seen, split.unseen)
    return Prediction(labels, scores["seen"]["mIoU"], scores["unseen"]["mIoU"])


def shown(rows: Sequence[Example]) -> Iterator[np.ndarray]:
    """Yield every label map (H, W) uint16 of the figure."""
    for row in rows:
        yield row.truth
        yield from (prediction.labels for prediction in row.predictions)
