"""A model as ONNX: the whole network with the choice of the best class, so that it runs without PyTorch and without this project."""

import json
import pathlib
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from zeroshot.base import storage
from zeroshot.networks import segmentation_network
from zeroshot.pixel_classifiers import masked_classifier, pixel_classifier
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
        self.n_on_sides, weight, bias, labels = _outputs(classifier)
        self.register_buffer("weight", weight[:, :, None, None])
        self.register_buffer("bias", bias)
        self.register_buffer("labels", labels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the label ids (1, H, W) int64 of an image (1, 3, H, W) uint8, RGB."""
        height, width = images.shape[-2:]
        stride, margin = self.network.stride, self.network.margin
        outputs = functional.conv2d(self.network.features(images), self.weight, self.bias)
        pixels = functional.interpolate(outputs, scale_factor=float(stride), mode="bilinear", align_corners=False)
        pixels = pixels[..., margin : margin + height, margin : margin + width]
        if self.n_on_sides is None:
            return self.labels[pixels.argmax(1)]
        seen, unseen, log_odds = pixels.split([*self.n_on_sides, 1], dim=1)
        rows = torch.where(log_odds[:, 0] >= 0, seen.argmax(1), self.n_on_sides[0] + unseen.argmax(1))
        return self.labels[rows]


def _outputs(
    classifier: masked_classifier.Classifier,
) -> tuple[tuple[int, int] | None, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the outputs of a classifier: the number of classes on each side, weights (k, d), biases (k,) and label ids (n,).

    With a seen mask, the classes of the seen side come first, then those of the unseen side, and the last output is the log-odds less the
    threshold. The first entry is None if all classes compete: without a mask, or without a class on one of its sides.
    """
    if isinstance(classifier, pixel_classifier.PixelClassifier):
        bias = classifier.bias - classifier.seen_bias * ~classifier.unseen
        return None, classifier.weight, bias, classifier.labels
    order = torch.argsort(classifier.unseen_side.int(), stable=True)
    weight, bias = classifier.classifier.weight[order], classifier.classifier.bias[order]
    n_seen, n_unseen = int((~classifier.unseen_side).sum()), int(classifier.unseen_side.sum())
    if not n_seen or not n_unseen:
        return None, weight, bias, classifier.labels[order]
    weight = torch.cat([weight, classifier.mask_weight[None]])
    bias = torch.cat([bias, (classifier.mask_bias - classifier.seen_bias)[None]])
    return (n_seen, n_unseen), weight, bias, classifier.labels[order]


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
