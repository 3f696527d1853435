"""Plots of what a feature cache has of a class or of an image."""

from typing import Any

import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure

from zeroshot.cache import maps
from zeroshot.datasets import splits
from zeroshot.figures import colours, output, overlays
from zeroshot.figures.shard_contents import Contents, in_mask
from zeroshot.images import grids, label_ids, pictures, views

# Inches.
WIDTH, HEIGHT, PANEL = 7.0, 2.8, 2.6
SMALL, TITLE = 7, 8
# Of the classes in an image, in turn, since some of their colours may be similar.
_MARKERS = "osD^vPX<>"


@output.plain_text()
def class_figure(contents: Contents) -> mpl_figure.Figure:
    """Plot the features of a class: the histogram of their norms, and the spectrum, the mean of each feature from large to small.

    The band of the spectrum goes from the lower to the upper quartile of each feature.
    """
    figure = _new(contents, (WIDTH, HEIGHT))
    norms, spectrum = figure.subplots(1, 2)
    colour = tuple((colours.colours(8)[5] / 255).tolist())
    norms.hist(contents.norms, bins=50, color=colour)
    _label(norms, "norm of the feature", "features")
    means, low, high = _spectrum(contents.features)
    ranks = np.arange(1, len(means) + 1)
    spectrum.fill_between(ranks, low, high, color=colour, alpha=0.3, linewidth=0, label="quartiles")
    spectrum.plot(ranks, means, color=colour, linewidth=1, label="mean")
    _label(spectrum, "channels, by mean activation", "activation")
    spectrum.legend(frameon=False, fontsize=SMALL)
    return figure


def _spectrum(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean, lower and upper quartile (d,) of each channel of features (n, d), in the order of falling means."""
    values = features.astype(np.float32)
    means, (low, high) = values.mean(axis=0), np.quantile(values, [0.25, 0.75], axis=0)
    order = np.argsort(-means, kind="stable")
    return means[order], low[order], high[order]


@output.plain_text()
def rows_figure(contents: Contents, image: np.ndarray) -> mpl_figure.Figure:
    """Plot the sampled cells of an image over its photograph, in the colours of their classes.

    Args:
        contents: of an image of a cache of rows.
        image: the photograph, (H, W, 3) uint8.
    """
    height, width = image.shape[:2]
    figure = _new(contents, (1.6 * PANEL, PANEL * min(1.5, height / width) + 0.3))
    axes = figure.subplots()
    axes.set_axis_off()
    axes.imshow(overlays.tinted(image, np.zeros((height, width), np.uint16), colours.colours(1)))
    labels, _, _ = contents.places
    x, y = _on_photograph(contents, (height, width)).T
    classes = contents.selection.index.classes
    palette = colours.colours(len(classes)) / 255
    for number, label in enumerate(np.unique(labels).tolist()):
        colour = palette[label] if label < len(classes) else np.ones(3)
        of_label = labels == label
        axes.scatter(
            x[of_label],
            y[of_label],
            s=14,
            color=colour,
            marker=_MARKERS[number % len(_MARKERS)],
            edgecolors="white" if label == label_ids.BACKGROUND else overlays.INK,
            linewidths=0.4,
            label=f"{contents.selection.name(label)} ({of_label.sum()})",
        )
    figure.legend(loc="outside right center", frameon=False, fontsize=SMALL)
    return figure


def _on_photograph(contents: Contents, size: tuple[int, int]) -> np.ndarray:
    """Return x and y in pixels of the photograph of size (height, width), (n, 2) float64, of the centres of cells."""
    index = contents.selection.index
    _, numbers, positions = contents.places
    settings: dict[str, Any] = index.provenance.get("features", {})
    # Positions of labelled images are on the map of their view; those of unlabelled images on the map of the unchanged image.
    passes = views.passes(tuple(settings["scales"]), settings["flip"]) if "scales" in settings else []
    points = np.empty((len(positions), 2))
    for number in np.unique(numbers).tolist():
        view = passes[number] if number < len(passes) else views.View()
        of_view = numbers == number
        y, x = (
            (grids.centres(side + 2 * index.margin, index.stride)[cells] - index.margin + 0.5) / side
            for side, cells in zip(view.size(*size), positions[of_view].T, strict=True)
        )
        x = 1 - x if view.flip else x
        points[of_view] = np.stack([x * size[1], y * size[0]], axis=1) - 0.5
    return points


@output.plain_text()
def map_figure(contents: Contents, item: maps.Map, image: np.ndarray, split: splits.Split) -> mpl_figure.Figure:
    """Plot an image of a cache of maps: the photograph, its mask, and the principal components of its features as colours.

    Args:
        contents: of the image, and of one class if one is selected.
        item: the map, with the margin of the cache.
        image: the photograph, (h, w, 3) uint8.
        split: gives names and roles.
    """
    index = contents.selection.index
    labels = in_mask(pictures.cut_margin(item.mask, index.margin), contents.selection.label)
    height, width = labels.shape
    figure = _new(contents, (3 * PANEL + 1.3, PANEL * min(1.5, height / width) + 0.65))
    photograph, mask, components = figure.subplots(1, 3)
    for axes in (photograph, mask, components):
        axes.set_axis_off()
    photograph.imshow(image)
    photograph.set_title("image", fontsize=TITLE)
    palette = colours.colours(len(split.classes))
    overlays.draw(mask, image, labels, split.unseen, palette, "auto")
    mask.set_title("mask", fontsize=TITLE)
    picture, share = principal_components(item.features)
    # A cell covers `stride` pixels in both directions; those at the edges may reach beyond the image.
    start = -index.margin - 0.5
    rows, columns = (start + n * index.stride for n in item.features.shape[:2])
    components.imshow(picture, extent=(start, columns, rows, start), interpolation="nearest")
    components.set_xlim(-0.5, width - 0.5)
    components.set_ylim(height - 0.5, -0.5)
    components.set_title("principal components 1 to 3", fontsize=TITLE)
    handles = [overlays.entry(label, split, palette) for label in np.unique(labels).tolist()]
    figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=SMALL)
    figure.supxlabel(
        f"The components are red, green and blue, fitted on this image alone; they have {100 * share:.0f} % of the variance.",
        fontsize=SMALL,
    )
    return figure


def principal_components(features: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the first three principal components of a feature map as a picture.

    Each component is scaled so that its 1st and 99th percentiles are 0 and 255. Its sign makes its largest weight positive.

    Args:
        features: (h, w, d) of any float type.

    Returns:
        the picture (h, w, 3) uint8, and the share of the variance that the three components have, 0 to 1.
    """
    h, w, d = features.shape
    values = features.reshape(-1, d).astype(np.float64)
    values -= values.mean(axis=0)
    variances, directions = np.linalg.eigh(values.T @ values)
    directions = directions[:, ::-1][:, :3]
    directions = directions * np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    scores = np.zeros((h * w, 3))
    scores[:, : directions.shape[1]] = values @ directions
    low, high = np.quantile(scores, [0.01, 0.99], axis=0)
    spread = np.where(high > low, high - low, 1)
    picture = np.round(255 * np.clip((scores - low) / spread, 0, 1)).astype(np.uint8)
    total = variances.sum()
    return picture.reshape(h, w, 3), float(variances[-3:].sum() / total) if total > 0 else 1.0


def _new(contents: Contents, size: tuple[float, float]) -> mpl_figure.Figure:
    figure = mpl_figure.Figure(figsize=size, layout="constrained")
    figure.suptitle(contents.selection.title, fontsize=TITLE)
    return figure


def _label(axes: mpl_axes.Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=SMALL)
    axes.set_ylabel(y, fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
