"""Labelling of an image from its cached features beside the network's forward pass, and its growth with the number of classes."""

from collections.abc import Iterator

import torch

from benchmarks import timing
from zeroshot.networks import deeplab
from zeroshot.pixel_classifiers import labelling, pixel_classifier

_HEIGHT, _WIDTH, _STRIDE, _DIM = 375, 500, 4, 256


def measure() -> Iterator[timing.Timing]:
    """Yield the figures for 20, 200 and 1,000 classes and an image of 375 x 500 pixels."""
    network = deeplab.DeepLabV3Plus("mobilenet_v2", 16, 21, separable=True, dropout=0.1).eval()
    image = torch.randint(0, 256, (1, 3, _HEIGHT, _WIDTH), dtype=torch.uint8)
    cells = torch.randn(-(-_HEIGHT // _STRIDE), -(-_WIDTH // _STRIDE), _DIM).half().numpy()

    def label(n_classes: int) -> None:
        classifier = classifiers[n_classes]
        labelling.predict_maps(classifier, cells, (_HEIGHT, _WIDTH), stride=_STRIDE)

    @torch.inference_mode()
    def forward() -> None:
        network(image)

    classifiers = {n_classes: _classifier(n_classes) for n_classes in (20, 200, 1000)}
    pass_, *times = timing.fastest(forward, *(lambda n=n: label(n) for n in classifiers), rounds=5)
    for n_classes, seconds in zip(classifiers, times, strict=True):
        what = f"label an image of {_HEIGHT} x {_WIDTH} pixels from its features, {n_classes} classes"
        if n_classes == 20:
            yield timing.Timing(what, seconds, "forward pass of MobileNetV2", pass_, "at most 0.05")
        else:
            yield timing.Timing(what, seconds, "20 classes", times[0], f"at most {n_classes // 20}")


def _classifier(n_classes: int) -> pixel_classifier.PixelClassifier:
    random = torch.Generator().manual_seed(0)
    return pixel_classifier.PixelClassifier(
        weight=torch.randn(n_classes, _DIM, generator=random),
        bias=torch.randn(n_classes, generator=random),
        labels=torch.arange(n_classes),
        unseen=torch.arange(n_classes) % 5 == 4,
    )
