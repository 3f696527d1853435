"""Labelling of an image from its cached features beside the network's forward pass, and its growth with the number of classes."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional

from benchmarks import timing
from zeroshot.networks import deeplab
from zeroshot.pixel_classifiers import labelling, pixel_classifier

_HEIGHT, _WIDTH, _STRIDE, _DIM = 375, 500, 4, 256
_IMAGE = f"label an image of {_HEIGHT} x {_WIDTH} pixels from its features"


def measure() -> Iterator[timing.Timing]:
    """Yield the figures for 20, 200 and 1,000 classes and an image of 375 x 500 pixels.

    The image has 6 x 8 objects of classes by chance. What its label map costs depends on the length of its contours, so 20 classes have
    another image, of noise, where nearly every cell has another label than its neighbours.
    """
    network = deeplab.DeepLabV3Plus("mobilenet_v2", 16, 21, separable=True, dropout=0.1).eval()
    image = torch.randint(0, 256, (1, 3, _HEIGHT, _WIDTH), dtype=torch.uint8)
    classifiers = {n_classes: _classifier(n_classes) for n_classes in (20, 200, 1000)}
    objects = {n_classes: _objects(classifier) for n_classes, classifier in classifiers.items()}
    noise = torch.randn(objects[20].shape).half().numpy()

    def label(n_classes: int, cells: np.ndarray) -> None:
        labelling.predict_maps(classifiers[n_classes], cells, (_HEIGHT, _WIDTH), stride=_STRIDE)

    @torch.inference_mode()
    def forward() -> None:
        network(image)

    pass_, noisy, *times = timing.fastest(
        forward, lambda: label(20, noise), *(lambda n=n: label(n, objects[n]) for n in classifiers), rounds=5
    )
    yield timing.Timing(f"{_IMAGE}, 20 classes", times[0], "forward pass of MobileNetV2", pass_, "at most 0.05")
    yield timing.Timing(f"{_IMAGE}, 20 classes, noise", noisy, "forward pass of MobileNetV2", pass_)
    for n_classes, seconds in zip(classifiers, times, strict=True):
        if n_classes > 20:
            goal = f"at most {n_classes // 20}"
            yield timing.Timing(f"{_IMAGE}, {n_classes} classes", seconds, "20 classes", times[0], goal)


def _objects(classifier: pixel_classifier.PixelClassifier) -> np.ndarray:
    """Return cells (h, w, 256) float16 whose features are the weights of their class, with noise: 6 x 8 objects, classes by chance."""
    random = torch.Generator().manual_seed(0)
    size = (-(-_HEIGHT // _STRIDE), -(-_WIDTH // _STRIDE))
    classes = torch.randint(0, len(classifier.weight), (1, 1, 6, 8), generator=random).float()
    label = functional.interpolate(classes, size=size, mode="nearest")[0, 0].long()
    return (classifier.weight[label] + 0.5 * torch.randn(*size, _DIM, generator=random)).half().numpy()


def _classifier(n_classes: int) -> pixel_classifier.PixelClassifier:
    random = torch.Generator().manual_seed(0)
    return pixel_classifier.PixelClassifier(
        weight=torch.randn(n_classes, _DIM, generator=random),
        bias=torch.randn(n_classes, generator=random),
        labels=torch.arange(n_classes),
        unseen=torch.arange(n_classes) % 5 == 4,
    )
