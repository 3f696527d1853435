"""From the cached features of an image to its label maps: logits are upsampled to pixels and then compared."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional

from zeroshot.images import grids
from zeroshot.pixel_classifiers import masked_classifier, pixel_classifier, side_window

# Classes whose upsampled logits are in memory together. So few stay in the processor's cache until they are compared.
_CLASSES_AT_ONCE = 8
# Values (H, W) and channel numbers (H, W) of the largest of a group of upsampled logits.
Largest = tuple[torch.Tensor, torch.Tensor]
Decide = Callable[[list[Largest]], Mapping[str, torch.Tensor]]
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
    """
    # Rows of the classifier: of seen classes, and of unseen classes if there are any.
    groups = [torch.nonzero(group).flatten() for group in (~classifier.unseen, classifier.unseen) if group.any()]
    names = ("generalised", "without_bias", *(["vanilla"] if classifier.unseen.any() else []))

    sizes = list(map(len, groups))
    has_sides = classifier.unseen_side is not None

    def with_margin(logits: torch.Tensor) -> torch.Tensor:
        means = side_window.average(logits, classifier.side_window).split(sizes, dim=1)
        return torch.cat([logits, side_window.margin(*means)], dim=1)

    def decide(largest: list[Largest]) -> Mapping[str, torch.Tensor]:
        label = [classifier.labels[group][row] for group, (_, row) in zip(groups, largest, strict=False)]
        if "vanilla" not in names:
            return dict.fromkeys(names, label[0])
        logit = [values for values, _ in largest]

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
    return _decided(
        decide, _layer(classifier.weight[order], classifier.bias[order]), [*sizes, 1] if has_sides else sizes, features,
        classifier.weight.device, size, image_size or size, stride,
        classifier.side_window // 2 if has_sides else 0, with_margin if has_sides else None,
    )  # fmt: skip


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
    """
    classifier, on_unseen_side = masked.classifier, masked.unseen_side
    groups = {
        "seen_side": ~on_unseen_side,
        **({"unseen_side": on_unseen_side} if on_unseen_side.any() else {}),
        **({"vanilla": classifier.unseen} if classifier.unseen.any() else {}),
    }
    rows = [torch.nonzero(group).flatten() for group in groups.values()]

    def decide(largest: list[Largest]) -> Mapping[str, torch.Tensor]:
        *best, (log_odds, _) = largest
        labels = {name: classifier.labels[group][row] for name, group, (_, row) in zip(groups, rows, best, strict=True)}
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
    return _decided(
        decide, _layer(weight, bias), [*map(len, rows), 1], features, weight.device, size, image_size or size, stride
    )


def _layer(weight: torch.Tensor, bias: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a map of cells (m, d) to logits (n, m). They lie class after class in memory, which upsampling needs to be fast."""
    return lambda cells: torch.addmm(bias[:, None], weight, cells.T)


def _decided(
    decide: Decide,
    layer: Callable[[torch.Tensor], torch.Tensor],
    sizes: Sequence[int],
    features: np.ndarray,
    device: torch.device,
    size: tuple[int, int],
    image_size: tuple[int, int],
    stride: int,
    reach: int = 0,
    combine: Combine | None = None,
) -> dict[str, np.ndarray]:
    """Return the label maps (H, W) int64 that `decide` makes of the largest logit in each group of rows.

    Args:
        decide: maps the largest logit and its channel, for each group, to label ids by the name of the label map.
        layer: maps cells (m, d) to their logits (n, m), group after group.
        sizes: number of logits in each group, after `combine`.
        device: the device to compute on.
        features, size, image_size, stride: as in `predict_maps`.
        reach: how many cells further `combine` looks in each direction.
        combine: what it returns of the logits of cells is upsampled; None for the logits.
    """
    cells = torch.from_numpy(features)

    def logits(rows: slice) -> torch.Tensor:
        """Return what is upsampled, (1, n, rows, w), of rows of cells."""
        first, last, _ = rows.indices(len(cells))
        start = max(first - reach, 0)
        part = cells[start : last + reach].to(device).float()
        h, w, d = part.shape
        found = layer(part.reshape(-1, d)).reshape(1, -1, h, w)
        return found if combine is None else combine(found)[:, :, first - start : last - start]

    def largest_of(strip: grids.Strip) -> list[Largest]:
        parts = logits(strip.cells).split(list(sizes), dim=1)
        return [_largest(map(strip.upsample, group.split(_CLASSES_AT_ONCE, dim=1))) for group in parts]

    if image_size == size:
        # Features and logits of cells, upsampled logits of a few classes, and the largest ones of each group.
        per_cell = features.shape[-1] + sum(sizes) + (_CLASSES_AT_ONCE + 2 * len(sizes)) * stride**2
        strips = ((strip.rows, largest_of(strip)) for strip in grids.strips(per_cell, size, stride))
    else:
        # A strip of a resized image has no rows of cells of its own, so these logits are divided by class.
        parts = logits(slice(None)).split(list(sizes), dim=1)
        strips = [(slice(None), [_largest(_resized(group, image_size, size, stride)) for group in parts])]

    label_maps: dict[str, np.ndarray] = {}
    for rows, largest in strips:
        for name, labels in decide(largest).items():
            label_maps.setdefault(name, np.empty(size, np.int64))[rows] = labels.cpu().numpy()
    return label_maps


def _resized(
    logits: torch.Tensor, image_size: tuple[int, int], size: tuple[int, int], stride: int
) -> Iterator[torch.Tensor]:
    """Yield logits (1, C, h, w) upsampled to the image and then resized, (1, c, *size), for blocks of c classes in their order."""
    most = max(1, grids.STRIP_VALUES // max(math.prod(image_size), math.prod(size)))
    for block in logits.split(most, dim=1):
        pixels = grids.upsample(block, image_size, stride)
        yield functional.interpolate(pixels, size=size, mode="bilinear", align_corners=False)


def _largest(blocks: Iterable[torch.Tensor]) -> Largest:
    """Return the largest value (H, W) of all channels of blocks (1, c, H, W), and the number (H, W) int32 of the first such channel."""
    channels = (values for block in blocks for values in block[0])
    highest = next(channels).clone()
    channel = torch.zeros(highest.shape, dtype=torch.int32, device=highest.device)
    for number, values in enumerate(channels, start=1):
        channel.masked_fill_(values > highest, number)
        torch.maximum(highest, values, out=highest)
    return highest, channel
