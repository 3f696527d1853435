"""The training images of a network: their augmentation, their sampling weights and their order in an epoch."""

import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils import data

from zeroshot.base import errors
from zeroshot.datasets import splits
from zeroshot.images import image_files, label_ids
from zeroshot.networks import augmentation


class Options(Protocol):
    """The keys that a section of params.yaml needs for training images."""

    @property
    def seed(self) -> int: ...
    @property
    def augmentation(self) -> augmentation.Params | None: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def repeat_threshold(self) -> float: ...


class Listed(Protocol):
    """A split, or its part for training."""

    @property
    def train(self) -> Sequence[splits.Item]: ...
    @property
    def seen(self) -> Sequence[int]: ...


class TrainingImages(data.Dataset):
    """Augmented training images, or whole ones where the section has no augmentation.

    The augmentation depends on (seed, epoch, position) only, so the number of workers has no effect.
    """

    def __init__(self, split: Listed, root: pathlib.Path, masks: pathlib.Path, options: Options) -> None:
        if len(split.train) < 2 and options.batch_size > 1:
            raise errors.UserError(
                f"the training list has {len(split.train)} image(s); batch normalisation needs at least 2; add images"
            )
        if not split.train:
            raise errors.UserError("the training list is empty; add images that show seen classes only")
        self.paths = [(root / item.image, masks / f"{item.id}.png") for item in split.train]
        self.options = options
        self.n_classes = len(split.seen)
        # The largest number of the type means an ignored pixel. Pixels of all other classes are ignored too.
        dtype = np.min_scalar_type(self.n_classes)
        self.row_of_label = np.full(label_ids.N_IDS, np.iinfo(dtype).max, dtype)
        self.row_of_label[list(split.seen)] = np.arange(self.n_classes)

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return an image (3, crop, crop) or (3, H, W) uint8 and its targets of the same size, which `targets` decodes.

        Loader processes send both through shared memory, which is small in a container. As int64 the targets would be most of it.
        So they are uint8, or uint16 where uint8 has too few numbers.

        Args:
            key: (epoch, position, index): epoch, position in the epoch, and index of the training image.
        """
        epoch, position, index = key
        image_path, mask_path = self.paths[index]
        image, mask = image_files.read_image(image_path), image_files.read_mask(mask_path)
        if self.options.augmentation is not None:
            rng = np.random.default_rng([self.options.seed, epoch, position])
            image, mask = augmentation.augment(image, mask, self.options.augmentation, rng)
        return torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(self.row_of_label[mask])


def targets(encoded: torch.Tensor) -> torch.Tensor:
    """Return the targets of `TrainingImages`, of any shape, as int64: indices of outputs, or `IGNORE_INDEX` for ignored pixels."""
    decoded = encoded.long()
    return decoded.masked_fill_(decoded == torch.iinfo(encoded.dtype).max, label_ids.IGNORE_INDEX)


def image_weights(dataset: TrainingImages, threshold: float) -> np.ndarray:
    """Return the sampling probability of each image by repeat factor sampling (Gupta et al., LVIS, CVPR 2019).

    The repeat factor of a class is max(1, sqrt(threshold / f)), where f is the share of training images that contain the class. The
    probability of an image is proportional to the largest factor of its classes.

    Returns:
        (n_images,) float64 that sums to 1; uniform for a threshold of 0.
    """
    if threshold == 0:
        return np.full(len(dataset.paths), 1 / len(dataset.paths))
    present = np.zeros((len(dataset.paths), dataset.n_classes), bool)
    for image, (_, path) in enumerate(dataset.paths):
        rows = np.unique(dataset.row_of_label[image_files.read_mask(path)])
        present[image, rows[rows < dataset.n_classes]] = True
    share = present.mean(axis=0)
    factor = np.sqrt(np.divide(threshold, share, out=np.ones_like(share), where=share > 0)).clip(min=1)
    repeats = np.where(present, factor, 1).max(axis=1)
    return repeats / repeats.sum()


def batches(probabilities: np.ndarray, epoch: int, options: Options) -> list[list[tuple[int, int, int]]]:
    """Return the keys of one epoch in batches. An incomplete last batch is dropped, since batch statistics of few images are poor."""
    rng = np.random.default_rng([options.seed, epoch])
    n = len(probabilities)
    if options.repeat_threshold == 0:
        order = rng.permutation(n)
    else:
        order = rng.choice(n, size=n, p=probabilities)
    keys = [(epoch, position, int(index)) for position, index in enumerate(order)]
    size = min(options.batch_size, n)
    return [keys[start : start + size] for start in range(0, n - size + 1, size)]


# Parts of the messages of PyTorch and Linux when the shared memory is full.
_SHARED_MEMORY = ("Bus error", "shared memory", "/torch_", "No space left on device")


def loaded(loader: data.DataLoader) -> Iterator[Any]:
    """Yield the batches of a loader.

    Raises:
        errors.UserError: if the loader processes have too little shared memory, or the error of a file that one of them read.
    """
    try:
        yield from loader
    except errors.UserError as error:
        # The loader puts the traceback of its process before the text.
        raise errors.UserError(str(error).rpartition(f".{type(error).__name__}: ")[2].strip() or str(error)) from error
    except (RuntimeError, OSError) as error:
        # The loader may say only that a process exited, and give the signal as the cause.
        text = f"{error} {error.__cause__}"
        if not loader.num_workers or not any(part in text for part in _SHARED_MEMORY):
            raise
        raise errors.UserError(
            f"runtime.workers: is {loader.num_workers}, and the processes that load training images have too little shared memory;"
            " set runtime.workers: 0, or enlarge /dev/shm (in Docker: --shm-size=1g)"
        ) from error
