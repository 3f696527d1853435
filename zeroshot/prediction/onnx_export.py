"""A model as ONNX: the whole network with the choice of the best class, so that it runs without PyTorch and without this project."""

import json
import pathlib
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from zeroshot.base import storage
from zeroshot.networks import backbone, segmentation_network
from zeroshot.pixel_classifiers import pixel_classifier

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
        self, network: segmentation_network.SegmentationNetwork, classifier: pixel_classifier.PixelClassifier
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("weight", classifier.weight[:, :, None, None])
        self.register_buffer("bias", classifier.bias - classifier.seen_bias * ~classifier.unseen)
        self.register_buffer("labels", classifier.labels)
        self.stride = network.stride

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the label ids (1, H, W) int64 of an image (1, 3, H, W) uint8, RGB."""
        height, width = images.shape[-2:]
        logits = functional.conv2d(self.network.features(images), self.weight, self.bias)
        pixels = functional.interpolate(logits, scale_factor=float(self.stride), mode="bilinear", align_corners=False)
        return self.labels[pixels[..., :height, :width].argmax(1)]


def write(path: str | pathlib.Path, content: dict[str, Any]) -> None:
    """Write the model of the entries of a model file as an ONNX file, for images of any size.

    Its input `images` and its output `labels` are those of `Segmenter.forward`.

    The file's metadata have the entry `classes`, the names in label order as JSON.
    """
    network = backbone.load(content["backbone"])
    classifier = pixel_classifier.PixelClassifier(**content["classifier"])
    sides = {
        2: torch.export.Dim("height", min=LEAST_SIDE, max=LARGEST_SIDE),
        3: torch.export.Dim("width", min=LEAST_SIDE, max=LARGEST_SIDE),
    }
    example = torch.zeros((1, 3, 72, 88), dtype=torch.uint8)
    program = torch.onnx.export(
        Segmenter(network, classifier).eval(),
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
