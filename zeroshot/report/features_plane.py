"""Real and synthetic features of a few classes in one plane: principal components of the real ones."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch

from zeroshot.cache import maps, rows
from zeroshot.images import grids
from zeroshot.words import class_embeddings
from zeroshot.zs3net import feature_source

# Largest number of classes that are chosen without being named.
MAX_CLASSES = 8


@dataclasses.dataclass(frozen=True)
class Plane:
    """Points in the plane of the first two principal components.

    Attributes:
        real: class -> (n, 2) float64.
        synthetic: class -> (n, 2) float64.
        explained: the share of the variance of the real features along each axis.
    """

    real: dict[str, np.ndarray]
    synthetic: dict[str, np.ndarray]
    explained: tuple[float, float]


def choose(embeddings: class_embeddings.ClassEmbeddings, seen: Sequence[int], unseen: Sequence[int]) -> list[int]:
    """Return the first unseen classes and, of each, the seen class with the nearest vector, which it is most easily taken for.

    Returns:
        at most `MAX_CLASSES` label ids without the background: each unseen class before its neighbour; the first seen classes if there is
        no unseen one.
    """
    table = list(class_embeddings.nearest(embeddings, n=len(embeddings.names)))
    seen_names = {embeddings.names[label] for label in seen if label != 0}
    chosen: list[int] = []
    for label in unseen:
        neighbour = next(
            (other for name, _, other, _ in table if name == embeddings.names[label] and other in seen_names), None
        )
        pair = [label, *([embeddings.names.index(neighbour)] if neighbour else [])]
        if len({*chosen, *pair}) > MAX_CLASSES:
            break
        chosen += [one for one in pair if one not in chosen]
    return chosen or [label for label in seen if label != 0][:MAX_CLASSES]


def choose_cells(
    masks: Iterable[tuple[str, np.ndarray]], labels: Sequence[int], stride: int, most: int
) -> dict[str, dict[int, np.ndarray]]:
    """Choose at most `most` cells of each class, evenly from all its cells, before any feature is read.

    Args:
        masks: id and mask (H, W) uint16 of each image, in the order of the cache.
        labels: label ids.
        stride: pixels between neighbouring cells.
        most: largest number of cells of a class.

    Returns:
        id -> label id -> numbers (m,) int64 of cells in the flat map; what has no chosen cell is absent.
    """
    places: dict[int, list[tuple[str, np.ndarray]]] = {label: [] for label in labels}
    for image, mask in masks:
        small = grids.downsample(mask, stride).ravel()
        for label in labels:
            places[label].append((image, np.flatnonzero(small == label)))
    chosen: dict[str, dict[int, np.ndarray]] = {}
    for label, of_images in places.items():
        ends = np.cumsum([len(cells) for _, cells in of_images])
        total = int(ends[-1]) if len(ends) else 0
        even = np.linspace(0, total - 1, min(most, total)).round().astype(np.int64)
        for (image, cells), end in zip(of_images, ends, strict=True):
            of_image = even[(even >= end - len(cells)) & (even < end)] - (end - len(cells))
            if len(of_image):
                chosen.setdefault(image, {})[label] = cells[of_image]
    return chosen


def of_cells(cache: Iterable[maps.Map], chosen: Mapping[str, Mapping[int, np.ndarray]]) -> dict[int, np.ndarray]:
    """Return the features (n, d) float32 of chosen cells by label id; `chosen` is the result of `choose_cells`."""
    parts: dict[int, list[np.ndarray]] = {}
    for item in cache:
        flat = item.features.reshape(-1, item.features.shape[2])
        for label, cells in chosen[item.image].items():
            parts.setdefault(label, []).append(flat[cells].astype(np.float32))
    return {label: np.concatenate(features) for label, features in parts.items()}


def of_rows(table: rows.Rows, labels: Sequence[int]) -> dict[int, np.ndarray]:
    """Return the features of some classes in a sample of rows, (n, d) float32 by label id; a class without rows is absent."""
    parts = {label: table["features"][table["label"] == label].astype(np.float32) for label in labels}
    return {label: part for label, part in parts.items() if len(part)}


@torch.inference_mode()
def sample(source: feature_source.FeatureSource, labels: Sequence[int], n: int) -> dict[int, np.ndarray]:
    """Return n synthetic features (n, d) float32 of each class; the same source gives the same ones."""
    random = torch.Generator().manual_seed(0)
    return {label: source.sample(torch.full((n,), label), random).cpu().float().numpy() for label in labels}


def make(real: Mapping[int, np.ndarray], synthetic: Mapping[int, np.ndarray], names: Sequence[str]) -> Plane:
    """Project features onto the first two principal components of the real ones.

    Args:
        real: label id -> (n, d) float32; at least two features in all.
        synthetic: label id -> (n, d) float32.
        names: of all classes.
    """
    stacked = np.concatenate(list(real.values())).astype(np.float64)
    centre = stacked.mean(axis=0)
    _, lengths, axes = np.linalg.svd(stacked - centre, full_matrices=False)
    # The sign of an axis is arbitrary: its largest entry is made positive.
    signs = np.sign(axes[[0, 1], np.abs(axes[:2]).argmax(axis=1)])
    axes = axes[:2] * np.where(signs == 0, 1, signs)[:, None]
    shares = lengths**2 / max((lengths**2).sum(), np.finfo(float).tiny)

    def project(features: Mapping[int, np.ndarray]) -> dict[str, np.ndarray]:
        return {names[label]: (part - centre) @ axes.T for label, part in features.items()}

    return Plane(project(real), project(synthetic), (float(shares[0]), float(shares[1])))
