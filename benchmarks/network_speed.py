"""Dumping features beside the bare forward pass, and a training step beside one whose images are in memory, and in other formats."""

import dataclasses
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
import torch

from benchmarks import timing
from zeroshot.cache import dump, shard_plan, sources
from zeroshot.datasets import splits
from zeroshot.images import image_files
from zeroshot.networks import augmentation, backbone, deeplab, optimisation, supervised_training, training_images

_ENCODER, _CLASSES = "mobilenet_v2", 21
# Sizes of images of Pascal VOC, in turn.
_SIZES = ((375, 500), (333, 500), (500, 375), (375, 500))
_IMAGES, _BATCH = 16, 4

_CROPS = augmentation.Params(crop=224, scales=(0.5, 2.0), flip=0.5, blur=0.5)


@dataclasses.dataclass(frozen=True)
class _Training:
    """The keys of a section that training needs."""

    seed: int = 0
    augmentation: Any = _CROPS
    batch_size: int = 8
    repeat_threshold: float = 0.0
    freeze: str = "nothing"
    epochs: int = 1
    loss_at: str = "features"
    precision: str = "float32"

    def recipe(self) -> optimisation.Recipe:
        return optimisation.polynomial_sgd(0.001, 1.0, 0.9, 0.0)


def measure() -> Iterator[timing.Timing]:
    """Yield the figures."""
    network = deeplab.DeepLabV3Plus(_ENCODER, 16, _CLASSES, separable=True, dropout=0.1)
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        items = _write(root)
        yield _dump(root, items, network)
        yield from _steps(root, items, network)


def _write(root: pathlib.Path) -> tuple[splits.Item, ...]:
    random = np.random.default_rng(0)
    (root / "images").mkdir()
    (root / "masks").mkdir()
    items = []
    for number in range(_IMAGES):
        height, width = _SIZES[number % len(_SIZES)]
        item = splits.Item(str(number), f"images/{number}.jpg")
        coarse = random.integers(0, 256, (height // 25, width // 25, 3), dtype=np.uint8)
        PIL.Image.fromarray(coarse).resize((width, height)).save(root / item.image)
        mask = np.kron(random.integers(0, _CLASSES, (height // 25 + 1, width // 25 + 1)), np.ones((25, 25), int))
        image_files.write_mask(root / f"masks/{item.id}.png", mask[:height, :width].astype(np.uint16))
        items.append(item)
    return tuple(items)


def _dump(root: pathlib.Path, items: tuple[splits.Item, ...], network: deeplab.DeepLabV3Plus) -> timing.Timing:
    """Time the dump of whole maps of 16 images of three sizes."""
    options = sources.Params(
        pixels_per_class=256,
        unlabelled_pixels=256,
        scales=(1.0,),
        flip=False,
        val_short_side=None,
        seed=0,
        unlabelled_views=sources.UnlabelledViews(scales=(), flip=False),
        shard_mib=1024,
        storage="float16",
        batch_size=_BATCH,
        precision="float32",
    )
    names = tuple(f"class {label}" for label in range(_CLASSES))
    lists = splits.Split(names, tuple(range(_CLASSES)), (), "images", (), (), items)
    source = sources.source("val", lists, root, root / "masks", options, network)
    (jobs,) = shard_plan.plan(source, options)
    extract = backbone.extractor(network, torch.device("cpu"), options.precision)
    images = [torch.from_numpy(source.read_image(job)).permute(2, 0, 1)[None] for job in jobs]
    dumping, passing = timing.fastest(
        lambda: dump.write_shard(root / "shard.h5", source, jobs, extract, options, workers=1),
        lambda: [extract(image) for image in images],
        rounds=3,
    )
    return timing.Timing(
        f"dump the maps of {_IMAGES} images of 3 sizes, images read by a thread, in batches of up to {_BATCH} by size",
        dumping,
        "forward pass, one image after the other",
        passing,
        "at most 1.05",
    )


def _steps(
    root: pathlib.Path, items: tuple[splits.Item, ...], network: deeplab.DeepLabV3Plus
) -> Iterator[timing.Timing]:
    """Time an epoch of two steps."""
    listed = splits.Training(tuple(range(_CLASSES)), ("",) * _CLASSES, "images", items, 500, {})
    options = _Training()
    read = training_images.TrainingImages(listed, root, root / "masks", options)
    in_memory = _ReadOnce(listed, root, root / "masks", options)

    def train(dataset: training_images.TrainingImages, precision: str = "float32") -> None:
        recipe = dataclasses.replace(options, precision=precision)
        for _ in supervised_training.fit(network, dataset, recipe, torch.device("cpu"), workers=0):
            pass

    reading, in_float32, in_bfloat16 = timing.fastest(
        lambda: train(read), lambda: train(in_memory), lambda: train(in_memory, "bfloat16"), rounds=3
    )
    what = f"epoch of {_IMAGES // options.batch_size} steps, {options.batch_size} crops of 224 pixels"
    yield timing.Timing(f"{what}, images read by the same thread", reading, "images in memory", in_float32)
    yield timing.Timing(f"{what}, bfloat16", in_bfloat16, "float32", in_float32)


class _ReadOnce(training_images.TrainingImages):
    """The same images, read and augmented once, in the untimed first round."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._items: dict[tuple[int, int, int], tuple[torch.Tensor, torch.Tensor]] = {}

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        if key not in self._items:
            self._items[key] = super().__getitem__(key)
        return self._items[key]
