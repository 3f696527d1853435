"""A small pixel classifier, and its label maps from logits that are upsampled pixel by pixel."""

import numpy as np
import torch

from zeroshot.zs3net import pixel_classifier


def classifier(seen_bias: float = 0.0) -> pixel_classifier.PixelClassifier:
    """Return a classifier of three classes and 4-d features, its rows not in label order, class 2 unseen."""
    random = torch.Generator().manual_seed(0)
    return pixel_classifier.PixelClassifier(
        weight=torch.randn(3, 4, generator=random),
        bias=torch.zeros(3),
        labels=torch.tensor([1, 2, 0]),
        unseen=torch.tensor([False, True, False]),
        seen_bias=seen_bias,
    )


def features(h: int, w: int, seed: int = 0) -> np.ndarray:
    """Return a random feature map (h, w, 4) float16."""
    return np.random.default_rng(seed).normal(size=(h, w, 4)).astype(np.float16)


def bilinear(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (h, w, c) with half-pixel centres, edges repeated: the definition, pixel by pixel."""
    out = np.zeros((*size, values.shape[2]))
    for target in np.ndindex(*size):
        spots = []
        for axis in (0, 1):
            place = (target[axis] + 0.5) * values.shape[axis] / size[axis] - 0.5
            place = min(max(place, 0), values.shape[axis] - 1)
            low = int(np.floor(place))
            spots.append(((low, 1 - (place - low)), (min(low + 1, values.shape[axis] - 1), place - low)))
        out[target] = sum(a * b * values[i, j] for i, a in spots[0] for j, b in spots[1])
    return out


def scores(model: pixel_classifier.PixelClassifier, cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the upsampled logits (H, W, C) without a bias, in the order of the rows."""
    return bilinear(cells.astype(np.float64) @ model.weight.double().numpy().T + model.bias.double().numpy(), size)


def label_map(model: pixel_classifier.PixelClassifier, cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the label (H, W) with the largest upsampled logit, the bias subtracted from those of seen classes."""
    biased = scores(model, cells, size) - np.where(model.unseen.numpy(), 0, model.seen_bias)
    return model.labels.numpy()[biased.argmax(2)]
