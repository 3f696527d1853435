"""A small pixel classifier, and an independent computation of its label maps from upsampled logits."""

import numpy as np
import torch

from zeroshot.pixel_classifiers import pixel_classifier


def classifier(seen_bias: float = 0.0) -> pixel_classifier.PixelClassifier:
    """Return a classifier of three classes and 4-d features; its rows are not in label order, and class 2 is unseen."""
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
    """Resize (h, w, c) bilinearly, pixel by pixel from the definition, with half-pixel centres and repeated edges."""
    out = np.zeros((*size, values.shape[2]))
    for target in np.ndindex(*size):
        terms = []
        for axis in (0, 1):
            position = (target[axis] + 0.5) * values.shape[axis] / size[axis] - 0.5
            position = min(max(position, 0), values.shape[axis] - 1)
            low = int(np.floor(position))
            terms.append(((low, 1 - (position - low)), (min(low + 1, values.shape[axis] - 1), position - low)))
        out[target] = sum(a * b * values[i, j] for i, a in terms[0] for j, b in terms[1])
    return out


def scores(
    model: pixel_classifier.PixelClassifier, cells: np.ndarray, image: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """Return the logits (*size, C) without the seen bias, in the order of the classifier's rows; a cell covers 4 pixels of `image`."""
    logits = cells.astype(np.float64) @ model.weight.double().numpy().T + model.bias.double().numpy()
    pixels = bilinear(logits, (4 * cells.shape[0], 4 * cells.shape[1]))[: image[0], : image[1]]
    return pixels if image == size else bilinear(pixels, size)


def label_map(
    model: pixel_classifier.PixelClassifier,
    cells: np.ndarray,
    image: tuple[int, int],
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Return the labels (*size) with the largest logit, after the seen bias is subtracted from seen classes; `size` None is `image`."""
    biased = scores(model, cells, image, size or image) - np.where(model.unseen.numpy(), 0, model.seen_bias)
    return model.labels.numpy()[biased.argmax(2)]
