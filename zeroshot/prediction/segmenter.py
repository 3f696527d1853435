"""Segmentation of one image of any size."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch.nn import functional

from zeroshot.base import errors
from zeroshot.images import grids, label_ids, views
from zeroshot.pixel_classifiers import masked_classifier
from zeroshot.prediction import decisions, tiles
from zeroshot.prediction.model import Model


@dataclasses.dataclass(frozen=True)
class Options:
    """How images are segmented.

    Attributes:
        classes: names of the classes that compete, together with the background; empty for all.
        side: a larger image is shrunk until its longest side has so many pixels; 0: never; None: twice the model's `side`. Networks
            find objects best at the sizes of their training images.
        scales: logits are averaged over the image resized by these factors.
        flip: average over the mirrored image too.
        tile: longest side in pixels that goes through the network at once, a multiple of 16, and of 32 for FCN-32s. Its memory grows with
            the square.
        overlap: of neighbouring tiles in pixels, a multiple of the same number.
        regions: number of superpixels in which all pixels get the same class; 0 for none.
    """

    classes: tuple[str, ...] = ()
    side: int | None = None
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    tile: int = 1024
    overlap: int = 128
    regions: int = 0


@dataclasses.dataclass(frozen=True)
class Segmentation:
    """The answer for one image.

    Attributes:
        labels: (H, W) uint16, label ids of the model.
        confidence: (H, W) float32, from 0 to 1: the probability of the label among all competing classes. It is that of softmax; with a
            seen mask or a side window, that of the label's side times that of softmax among the classes of this side
            (`decisions.probabilities`).
    """

    labels: np.ndarray
    confidence: np.ndarray


def check(options: Options, stride: int = 1) -> None:
    """Check that options have possible values for a model whose cells are `stride` pixels apart.

    Raises:
        errors.UserError: naming the value.
    """
    if not options.scales or not all(0.1 <= scale <= 10 for scale in options.scales):
        raise errors.UserError(f"scales: need factors from 0.1 to 10, found {options.scales}")
    grain = tiles.grain(stride)
    if options.tile < grain or options.tile % grain:
        raise errors.UserError(f"tile: needs a multiple of {grain} for this model, found {options.tile}")
    if options.overlap % grain or not 0 <= options.overlap < options.tile:
        raise errors.UserError(
            f"overlap: needs a multiple of {grain} below the tile's side for this model, found {options.overlap}"
        )
    if options.side is not None and (options.side < 0 or 0 < options.side < tiles.GRAIN):
        raise errors.UserError(f"side: needs 0 or at least {tiles.GRAIN}, found {options.side}")
    if options.regions < 0:
        raise errors.UserError(f"regions: needs a number from 0, found {options.regions}")


@torch.inference_mode()
def predict(image: np.ndarray, model: Model, options: Options = Options()) -> Segmentation:
    """Segment an image.

    With default options the labels are those of the generalised protocol of `labelling.predict_maps` or, with a seen mask, of
    `labelling.predict_masked_maps`, up to twice the typical side.

    Args:
        image: (H, W, 3) uint8, RGB.
        model: what to segment it with.
        options: how.

    Raises:
        errors.UserError: if the options have wrong values, or the model has not all of `options.classes`.
        ValueError: if the image is not (H, W, 3) uint8.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"an image must be (H, W, 3) uint8, found {image.shape} {image.dtype}")
    check(options, model.stride)
    classifier = model.choose(options.classes) if options.classes else model.classifier
    pixels = _strips(_outputs(image, model, classifier, options), image.shape[:2], model, classifier)
    rows, confidence = (
        _by_region(image, pixels, classifier, options.regions)
        if options.regions
        else _by_pixel(pixels, image.shape[:2], classifier)
    )
    return Segmentation(classifier.labels.cpu().numpy()[rows].astype(label_ids.DTYPE), confidence)


def _outputs(
    image: np.ndarray, model: Model, classifier: masked_classifier.Classifier, options: Options
) -> torch.Tensor:
    """Return what `decisions.with_margin` does of the image's cells, (k, h, w) float32, from the mean over all views."""

    def infer(tile: np.ndarray) -> torch.Tensor:
        batch = torch.from_numpy(np.ascontiguousarray(tile.transpose(2, 0, 1)))[None]
        features = model.extract(batch)[0].float()
        d, h, w = features.shape
        return decisions.outputs(classifier, features.reshape(d, -1).T).T.reshape(-1, h, w)

    largest = 2 * model.side if options.side is None else options.side
    shrink = min(1.0, largest / max(image.shape[:2])) if largest else 1.0
    total = None
    for view in views.passes(tuple(shrink * scale for scale in options.scales), options.flip):
        resized = views.View(view.scale).image(image)
        shown = np.ascontiguousarray(_padded(resized, model)[:, ::-1]) if view.flip else resized
        cells = tiles.blend(
            shown, infer, tile=options.tile, overlap=options.overlap, stride=model.stride, margin=model.margin
        )
        # The window is one of the view's cells, and of the whole view, so tiles do not limit it.
        cells = decisions.with_means(classifier, cells)
        if view.flip:
            cells = cells.flip(-1)
        if resized.shape != image.shape:
            cells = _moved(cells, resized.shape[:2], image.shape[:2], model)
        total = cells if total is None else total + cells
    assert total is not None
    return decisions.with_margin(classifier, total / (len(options.scales) * (2 if options.flip else 1)))


def _padded(image: np.ndarray, model: Model) -> np.ndarray:
    """Return the image with its last columns repeated, so that cells of its mirror image are mirrored cells."""
    return np.pad(image, ((0, 0), (0, -(image.shape[1] + 2 * model.margin) % model.stride), (0, 0)), mode="edge")


def _moved(cells: torch.Tensor, found: tuple[int, int], wanted: tuple[int, int], model: Model) -> torch.Tensor:
    """Resample the map of an image resized to `found` (H, W) at the cells of the image of size `wanted`, bilinearly."""
    stride, margin = model.stride, model.margin
    places = []
    for side_found, side_wanted, n_cells in zip(found, wanted, cells.shape[1:], strict=True):
        n_wanted = -(-(side_wanted + 2 * margin) // stride)
        centres = (torch.arange(n_wanted, device=cells.device) + 0.5) * stride - margin
        # grid_sample has the edges of the map at -1 and 1.
        places.append(2 * (centres * (side_found / side_wanted) + margin) / (n_cells * stride) - 1)
    y, x = torch.meshgrid(*places, indexing="ij")
    grid = torch.stack([x, y], dim=-1)[None]
    return functional.grid_sample(cells[None], grid, padding_mode="border", align_corners=False)[0]


def _strips(
    outputs: torch.Tensor, size: tuple[int, int], model: Model, classifier: masked_classifier.Classifier
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield rows of the image and their upsampled probabilities (k, rows, W), a few rows at a time."""
    (height, width), margin = size, model.margin
    whole = (height + 2 * margin, width + 2 * margin)
    for strip in grids.strips(len(outputs) * model.stride**2, whole, model.stride):
        first, last = max(strip.rows.start - margin, 0), min(strip.rows.stop - margin, height)
        if first < last:
            pixels, above = strip.upsample(outputs[None, :, strip.cells]), margin - strip.rows.start
            inside = pixels[0, :, first + above : last + above, margin : margin + width]
            yield slice(first, last), decisions.probabilities(classifier, inside)


def _by_pixel(
    pixels: Iterable[tuple[slice, torch.Tensor]], size: tuple[int, int], classifier: masked_classifier.Classifier
) -> tuple[np.ndarray, np.ndarray]:
    """Return the chosen row of the classifier (H, W) int64 at every pixel, and its probability (H, W) float32.

    Args:
        pixels: from `_strips`.
        size: H and W.
        classifier: the classifier.
    """
    best, confidence = np.empty(size, np.int64), np.empty(size, np.float32)
    for rows, probabilities in pixels:
        row, probability = decisions.choose(classifier, probabilities)
        best[rows], confidence[rows] = row.cpu().numpy(), probability.cpu().numpy()
    return best, confidence


def _by_region(
    image: np.ndarray,
    pixels: Iterable[tuple[slice, torch.Tensor]],
    classifier: masked_classifier.Classifier,
    n_regions: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `_by_pixel` returns, from probabilities that are averaged over superpixels (SLIC, Achanta et al. 2012)."""
    from skimage import segmentation

    regions = segmentation.slic(image, n_segments=n_regions, start_label=0, channel_axis=-1)
    total: torch.Tensor | None = None
    for rows, probabilities in pixels:
        if total is None:
            total = probabilities.new_zeros((int(regions.max()) + 1, len(probabilities)))
        places = torch.from_numpy(regions[rows].reshape(-1)).to(total.device)
        total.index_add_(0, places, probabilities.reshape(len(probabilities), -1).T)
    assert total is not None
    counts = torch.from_numpy(np.bincount(regions.ravel(), minlength=len(total))).to(total.device)
    row, probability = decisions.choose(classifier, (total / counts[:, None]).T)
    return row.cpu().numpy()[regions], probability.cpu().numpy()[regions]
