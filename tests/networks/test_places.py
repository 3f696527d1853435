"""The place of an object: an edge at a known pixel is found there, whatever the size of the image."""

import numpy as np
import pytest
import torch

from zeroshot.images import grids
from zeroshot.networks import deeplab
from zeroshot.pixel_classifiers import labelling, pixel_classifier

SIDES = range(32, 97)


def scene(height, width, edge, axis):
    """Return an image (H, W, 3) uint8 that is dark above (axis 0) or to the left (axis 1) of pixel `edge`, and bright beyond."""
    line = np.where(np.arange((height, width)[axis]) < edge, 60, 200).astype(np.uint8)
    plane = np.broadcast_to(line[:, None] if axis == 0 else line, (height, width))
    return np.repeat(plane[:, :, None], 3, axis=2) + np.random.default_rng(edge).integers(
        0, 20, (height, width, 3), np.uint8
    )


def features(network, image):
    with torch.inference_mode():
        return network.features(torch.from_numpy(image).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()


def probe(network):
    """Fit a classifier of dark (0) and bright (1) to the features of a network, on images with sides of 32, 48, ..., 96 pixels."""
    cells, targets = [], []
    for side in (32, 48, 64, 80, 96):
        for edge in range(5, side - 4, 5):
            for axis in (0, 1):
                image = scene(*((side, 48) if axis == 0 else (48, side)), edge, axis)
                cells.append(features(network, image).reshape(-1, network.feature_dim))
                targets.append(grids.downsample(image[:, :, 0] > 130, 4).ravel())
    design = np.concatenate([np.concatenate(cells), np.ones((sum(map(len, cells)), 1))], axis=1)
    ridge = design.T @ design + 1e-3 * np.eye(design.shape[1])
    weight = np.linalg.solve(ridge, design.T @ (2.0 * np.concatenate(targets) - 1)).astype(np.float32)
    return pixel_classifier.PixelClassifier(
        weight=torch.from_numpy(np.stack([np.zeros_like(weight[:-1]), weight[:-1]])),
        bias=torch.tensor([0.0, float(weight[-1])]),
        labels=torch.tensor([0, 1]),
        unseen=torch.tensor([False, False]),
    )


def place(network, model, image, axis):
    """Return the median, over the lines across the edge, of the number of pixels before it."""
    label_map = labelling.predict_maps(model, features(network, image), image.shape[:2], stride=network.stride)
    return np.median((label_map["generalised"] == 0).sum(axis=axis))


@pytest.mark.parametrize("output_stride", [16, 8])
def test_an_edge_is_found_at_its_pixel_at_every_side_from_32_to_96(output_stride):
    torch.manual_seed(0)
    network = deeplab.DeepLabV3Plus("mobilenet_v2", output_stride, 2, separable=True, dropout=0.0).eval()
    model = probe(network)
    errors = {}
    for side in SIDES:
        # A cell covers 4 pixels; edges between cells have the same quantisation at every side.
        for edge in (side // 12 * 4, (side - 6) // 4 * 4):
            shapes = (side, 48), (48, side)
            found = [place(network, model, scene(*shape, edge, axis), axis) for axis, shape in enumerate(shapes)]
            errors[side, edge] = np.mean(found) - edge
    assert max(map(abs, errors.values())) <= 2, errors
    # The mean over sides of one remainder has less noise of the random weights: labels must not slide at any.
    by_remainder = [np.mean([error for (side, _), error in errors.items() if side % 16 == rest]) for rest in range(16)]
    assert max(map(abs, by_remainder)) <= 0.75, by_remainder


@pytest.mark.parametrize("size", [(49, 64), (50, 53), (61, 64), (63, 51)])
def test_both_resolutions_of_the_network_show_the_same_places(size):
    """A side is no multiple of 16 in these images, and the missing pixels have the mean colour in the others."""
    torch.manual_seed(0)
    network = deeplab.DeepLabV3Plus("mobilenet_v2", 16, 2, separable=True, dropout=0.0).double().eval()
    images = torch.rand(1, 3, *size, dtype=torch.float64) * 255
    whole = 255 * network.mean.expand(1, 3, 64, 64).clone()
    whole[..., : size[0], : size[1]] = images
    with torch.inference_mode():
        cut, expected = network.features(images), network.features(whole)
    torch.testing.assert_close(cut, expected[..., : cut.shape[2], : cut.shape[3]])
