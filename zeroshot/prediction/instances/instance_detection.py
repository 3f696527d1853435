"""The instances of one image of any size."""

import dataclasses
import pathlib

import numpy as np
import torch

from zeroshot.base import errors
from zeroshot.evaluation.instances import detections
from zeroshot.images import image_files
from zeroshot.prediction.instances.instance_model import InstanceModel
from zeroshot.zsi import coco_results, inference, instances_dataset


@dataclasses.dataclass(frozen=True)
class Options:
    """How instances are found.

    Attributes:
        classes: names of the classes that can be predicted; empty for all.
        score: least score of an instance, from 0 to 1; None: that of the model's section `detection`.
    """

    classes: tuple[str, ...] = ()
    score: float | None = None


def check(options: Options, model: InstanceModel) -> None:
    """Check that options have possible values for a model.

    Raises:
        errors.UserError: naming the value.
    """
    if options.score is not None and not 0 <= options.score <= 1:
        raise errors.UserError(f"score: needs a number from 0 to 1, found {options.score}")
    model.labels(options.classes)


def check_size(path: pathlib.Path, image: np.ndarray, model: InstanceModel) -> None:
    """Refuse an image (H, W, 3) so thin that its shorter side would vanish when the detector resizes it.

    Raises:
        image_files.ImageError: naming the file.
    """
    if instances_dataset.too_thin(image.shape[0], image.shape[1], model.detector.transform.max_size):
        raise image_files.ImageError(
            f"{path}: is {image.shape[1]} x {image.shape[0]} pixels, too thin to be resized to"
            f" {model.detector.transform.max_size} pixels; cut it"
        )


@torch.inference_mode()
def detect(image: np.ndarray, model: InstanceModel, options: Options = Options()) -> list[detections.Detection]:
    """Find the instances of an image.

    With default options they are those of the protocol GZSI of the stages `detect` and `detect_regions`. A region may be an instance of a
    seen and of an unseen class.

    Args:
        image: (H, W, 3) uint8, RGB.
        model: what to find them with.
        options: how.

    Returns:
        The instances as in COCO's results, in no order; `image_id` is 0.

    Raises:
        errors.UserError: if the options have wrong values, or the model has not all of `options.classes`.
        ValueError: if the image is not (H, W, 3) uint8.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"an image must be (H, W, 3) uint8, found {image.shape} {image.dtype}")
    check(options, model)
    pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(model.device)
    regions = inference.regions(model.detector, pixels)
    if model.most_regions is not None:
        regions = regions.surest(model.most_regions)
    section = model.detection
    if options.score is not None:
        section = dataclasses.replace(section, score_threshold=options.score)
    labelling = model.labelling(regions, model.labels(options.classes) if options.classes else None)
    (found,) = inference.find(model.detector, regions, [labelling], section)
    return coco_results.entries(found, 0, model.classes, section.mask_threshold)
