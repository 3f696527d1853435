"""From the cached features of an image to its label maps: logits are upsampled to pixels and then compared."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional

from zeroshot.images import grids
from zeroshot.pixel_classifiers import largest_logits, masked_classifier, pixel_classifier, side_window

Decide = Callable[[list[largest_logits.Largest]], Mapping[str, torch.Tensor]]
# Maps the logits (1, n, h, w) of cells to what is upsampled.
Combine = Callable[[torch.Tensor], torch.Tensor]


@torch.inference_mode()
def predict_maps(
    classifier: pixel_classifier.PixelClassifier,
    features: np.ndarray,
    size: tuple[int, int],
    image_size: tuple[int, int] | None = None,
    *,
    stride: int,
) -> dict[str, np.ndarray]:
    """Label an image under each protocol, from logits that are bilinearly upsampled once.

    With a side window, the side of a pixel is that of the upsampled margin of the averaged logits (side_window.py), and its class the best
    of this side. Pixels are labelled in strips of rows, so that memory for logits hardly grows with the size of the image.

    Args:
        classifier: C classes, on the device to compute on.
        features: (h, w, d) of any float type.
        size: H and W of the label maps.
        image_size: height and width of the image that the features are of; None if it is `size`. If it differs, logits are resized
            to `size` after they were upsampled to the image.
        stride: pixels of the image between neighbouring cells.

    Returns:
        label maps (H, W) int64 by protocol: `generalised`, with the seen bias; `without_bias`; and, if the classifier has an unseen
        class, `vanilla`, which chooses among unseen classes only.

    Raises:
        ValueError: if the features are not those of an image of this size.
    """
    # Rows of the classifier: of seen classes, and of unseen classes if there are any.
    groups = [torch.nonzero(group).flatten() for group in (~classifier.unseen, classifier.unseen) if group.any()]
    names = ("generalised", "without_bias", *(["vanilla"] if classifier.unseen.any() else []))

    sizes = list(map(len, groups))
    has_sides = classifier.unseen_side is not None
    labels = [classifier.labels[group] for group in groups]

    def with_margin(logits: torch.Tensor) -> torch.Tensor:
        means = side_window.average(logits, classifier.side_window).split(sizes, dim=1)
        return torch.cat([logits, side_window.margin(*means)], dim=1)

    def decide(largest: list[largest_logits.Largest]) -> Mapping[str, torch.Tensor]:
        logit, label = [values for values, _ in largest], [label for _, label in largest]
        if "vanilla" not in names:
            return dict.fromkeys(names, label[0])

        def generalised(bias: float) -> torch.Tensor:
            # The bias is the same for all pixels, so it can be subtracted after upsampling.
            is_unseen = logit[2] < bias if has_sides else logit[1] > logit[0] - bias
            return torch.where(is_unseen, label[1], label[0])

        return {
            "generalised": generalised(classifier.seen_bias),
            "without_bias": generalised(0.0),
            "vanilla": label[1],
        }

    order = torch.cat(groups)
    layer = _layer(classifier.weight[order], classifier.bias[order])
    if not has_sides:
        return _decided(decide, layer, labels, features, size, image_size or size, stride)
    labels.append(labels[0].new_zeros(1))
    reach = classifier.side_window // 2
    return _decided(decide, layer, labels, features, size, image_size or size, stride, reach, with_margin)


@torch.inference_mode()
def predict_masked_maps(
    masked: masked_classifier.MaskedClassifier,
    features: np.ndarray,
    size: tuple[int, int],
    image_size: tuple[int, int] | None = None,
    *,
    stride: int,
) -> dict[str, np.ndarray]:
    """Label an image with a seen mask: each pixel gets the best class of the side that the mask chooses (SZN).

    Logits of classes and of the mask are upsampled and then compared. Arguments are those of `predict_maps`.

    Returns:
        label maps (H, W) int64: `generalised`, with the threshold of the mask; `without_bias`, where the mask chooses the likelier
        side; `seen_side` and `unseen_side`, the best class of each side (the seen one where no class is on the unseen side); and, if
        there is an unseen class, `vanilla`, the best of those.

    Raises:
        ValueError: if the features are not those of an image of this size.
    """
    classifier, on_unseen_side = masked.classifier, masked.unseen_side
    groups = {
        "seen_side": ~on_unseen_side,
        **({"unseen_side": on_unseen_side} if on_unseen_side.any() else {}),
        **({"vanilla": classifier.unseen} if classifier.unseen.any() else {}),
    }
    rows = [torch.nonzero(group).flatten() for group in groups.values()]

    def decide(largest: list[largest_logits.Largest]) -> Mapping[str, torch.Tensor]:
        *best, (log_odds, _) = largest
        labels = {name: label for name, (_, label) in zip(groups, best, strict=True)}
        seen = labels["seen_side"]
        unseen = labels.setdefault("unseen_side", seen)
        return {
            "generalised": torch.where(log_odds >= masked.seen_bias, seen, unseen),
            "without_bias": torch.where(log_odds >= 0, seen, unseen),
            **labels,
        }

    order = torch.cat(rows)
    weight = torch.cat([classifier.weight[order], masked.mask_weight[None]])
    bias = torch.cat([classifier.bias[order], masked.mask_bias[None]])
    labels = [*(classifier.labels[group] for group in rows), classifier.labels.new_zeros(1)]
    return _decided(decide, _layer(weight, bias), labels, features, size, image_size or size, stride)


def _layer(weight: torch.Tensor, bias: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a map of cells (m, d) to logits (n, m). They lie class after class in memory, which upsampling needs to be fast."""
    return lambda cells: torch.addmm(bias[:, None], weight, cells.T)


def _decided(
    decide: Decide,
    layer: Callable[[torch.Tensor], torch.Tensor],
    labels: Sequence[torch.Tensor],
    features: np.ndarray,
    size: tuple[int, int],
    image_size: tuple[int, int],
    stride: int,
    reach: int = 0,
    combine: Combine | None = None,
) -> dict[str, np.ndarray]:
    """Return the label maps (H, W) int64 that `decide` makes of the largest logit in each group of rows.

    Args:
        decide: maps the largest logit and its label, for each group, to labels by the name of the label map.
        layer: maps cells (m, d) to their logits (n, m), group after group.
        labels: int64 ids of the rows of each group, after `combine`, on the device to compute on.
        features, size, image_size, stride: as in `predict_maps`.
        reach: how many cells further `combine` looks in each direction.
        combine: what it returns of the logits of cells is upsampled; None for the logits.

    Raises:
        ValueError: if the features are not those of an image of this size.
    """
    cells = torch.from_numpy(features)
    grids.check_map((len(cells), cells.shape[1]), image_size, stride)
    ids = [group.int() for group in labels]
    sizes = list(map(len, ids))

    def logits(rows: slice) -> torch.Tensor:
        """Return what is upsampled, (1, n, rows, w), of rows of cells."""
        first, last, _ = rows.indices(len(cells))
        start = max(first - reach, 0)
        part = cells[start : last + reach].to(ids[0].device).float()
        h, w, d = part.shape
        found = layer(part.reshape(-1, d)).reshape(1, -1, h, w)
        return found if combine is None else combine(found)[:, :, first - start : last - start]

    def largest_of(strip: grids.Strip) -> list[largest_logits.Largest]:
        parts = logits(strip.cells)[0].split(sizes)
        found = map(largest_logits.of_upsampled, parts, ids, itertools.repeat(strip.size), itertools.repeat(stride))
        return [(strip.cut(values), strip.cut(best)) for values, best in found]

    if image_size == size:
        # Features and logits of cells, upsampled logits of a few classes with those of the four cells around, and the largest ones of
        # each group.
        at_once = largest_logits.CLASSES_AT_ONCE
        per_cell = features.shape[-1] + sum(sizes) + (at_once + 2 * len(sizes)) * stride**2 + 4 * at_once
        strips = ((strip.rows, largest_of(strip)) for strip in grids.strips(per_cell, size, stride))
    else:
        # A strip of a resized image has no rows of cells of its own, so these logits are divided by class.
        parts = logits(slice(None)).split(sizes, dim=1)
        blocks = (_resized(group, image_size, size, stride) for group in parts)
        strips = [(slice(None), list(map(largest_logits.of_blocks, blocks, ids)))]

    label_maps: dict[str, np.ndarray] = {}
    for rows, largest in strips:
        for name, decided in decide(largest).items():
            label_maps.setdefault(name, np.empty(size, np.int64))[rows] = decided.cpu().numpy()
    return label_maps


def _resized(
    logits: torch.Tensor, image_size: tuple[int, int], size: tuple[int, int], stride: int
) -> Iterator[torch.Tensor]:
    """Yield logits (1, C, h, w) upsampled to the image and then resized, (c, *size), for blocks of c classes in their order."""
    most = max(1, grids.STRIP_VALUES // max(math.prod(image_size), math.prod(size)))
    for block in logits.split(most, dim=1):
        pixels = grids.upsample(block, image_size, stride)
        yield functional.interpolate(pixels, size=size, mode="bilinear", align_corners=False)[0]
