"""A model as ONNX: the whole network with the choice of the best class, so that it runs without PyTorch and without this project."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from zeroshot.base import storage
from zeroshot.networks import segmentation_network
from zeroshot.pixel_classifiers import masked_classifier, pixel_classifier, side_window
from zeroshot.prediction import model

# Sides that the exported network accepts, in pixels.
LEAST_SIDE, LARGEST_SIDE = 16, 4096
OPSET = 20
# Least share of pixels with the same label as in PyTorch. Rounding changes the class of pixels between two classes.
LEAST_AGREEMENT = 0.999


class Segmenter(nn.Module):
    """The network and the last layer as one module: images in, label ids out."""

    weight: torch.Tensor
    bias: torch.Tensor
    labels: torch.Tensor

    def __init__(
        self, network: segmentation_network.SegmentationNetwork, classifier: masked_classifier.Classifier
    ) -> None:
        super().__init__()
        self.network = network
        self.n_on_sides, self.window, weight, bias, labels = _outputs(classifier)
        self.register_buffer("weight", weight[:, :, None, None])
        self.register_buffer("bias", bias)
        self.register_buffer("labels", labels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the label ids (1, H, W) int64 of an image (1, 3, H, W) uint8, RGB."""
        height, width = images.shape[-2:]
        stride, margin = self.network.stride, self.network.margin
        outputs = functional.conv2d(self.network.features(images), self.weight, self.bias)
        if self.n_on_sides is not None and self.window > 1:
            means = side_window.average(outputs, self.window).split([*self.n_on_sides], dim=1)
            outputs = torch.cat([outputs, side_window.margin(*means)], dim=1)
        pixels = functional.interpolate(outputs, scale_factor=float(stride), mode="bilinear", align_corners=False)
        pixels = pixels[..., margin : margin + height, margin : margin + width]
        if self.n_on_sides is None:
            return self.labels[pixels.argmax(1)]
        seen, unseen, margin = pixels.split([*self.n_on_sides, 1], dim=1)
        rows = torch.where(margin[:, 0] >= 0, seen.argmax(1), self.n_on_sides[0] + unseen.argmax(1))
        return self.labels[rows]


def _outputs(
    classifier: masked_classifier.Classifier,
) -> tuple[tuple[int, int] | None, int, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the outputs of a classifier: the number of classes on each side, its side window, weights, biases and label ids (n,).

    With sides, the classes of the seen side come first, then those of the unseen side. Weights (k, d) and biases (k,) are those of the n
    classes; with a seen mask, the last ones are those of the log-odds less the threshold. The first entry is None if all classes compete:
    without sides, or without a class on one of them.
    """
    unseen_side = classifier.unseen_side
    if isinstance(classifier, pixel_classifier.PixelClassifier):
        plain, window = classifier, classifier.side_window
    else:
        plain, window = dataclasses.replace(classifier.classifier, seen_bias=0.0), 1
    bias = plain.bias - plain.seen_bias * ~plain.unseen
    if unseen_side is None or unseen_side.all() or not unseen_side.any():
        return None, 1, plain.weight, bias, plain.labels
    order = torch.argsort(unseen_side.int(), stable=True)
    weight, bias, n_unseen = plain.weight[order], bias[order], int(unseen_side.sum())
    if isinstance(classifier, masked_classifier.MaskedClassifier):
        weight = torch.cat([weight, classifier.mask_weight[None]])
        bias = torch.cat([bias, (classifier.mask_bias - classifier.seen_bias)[None]])
    return (len(order) - n_unseen, n_unseen), window, weight, bias, plain.labels[order]


def write(path: str | pathlib.Path, content: dict[str, Any]) -> None:
    """Write the model of the entries of a model file as an ONNX file, for images of any size.

    Its input `images` and its output `labels` are those of `Segmenter.forward`.

    The file's metadata have the entry `classes`, the names in label order as JSON.
    """
    sides = {
        2: torch.export.Dim("height", min=LEAST_SIDE, max=LARGEST_SIDE),
        3: torch.export.Dim("width", min=LEAST_SIDE, max=LARGEST_SIDE),
    }
    example = torch.zeros((1, 3, 72, 88), dtype=torch.uint8)
    program = torch.onnx.export(
        Segmenter(model.network_of(content), model.classifier_of(content)).eval(),
        (example,),
        input_names=["images"],
        output_names=["labels"],
        dynamic_shapes={"images": sides},
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props["classes"] = json.dumps(content["names"], ensure_ascii=False)
    with storage.replacing(path) as temporary:
        program.save(str(temporary))


def run(path: str | pathlib.Path, image: np.ndarray) -> np.ndarray:
    """Return the labels (H, W) int64 that the ONNX file gives to an image (H, W, 3) uint8, on the CPU by onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = np.asarray(session.run(["labels"], {"images": image.transpose(2, 0, 1)[None]})[0])
    return found[0]
