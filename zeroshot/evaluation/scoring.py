"""The files of an evaluated model: its metrics, and its tables and confusion matrices for plots and for intervals."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zeroshot.base import progress, storage
from zeroshot.cache import index, maps
from zeroshot.datasets import splits
from zeroshot.evaluation import bootstrap, image_confusions, metrics, metrics_files, protocols


@dataclasses.dataclass(frozen=True)
class Files:
    """Where the results of one model are written.

    Attributes:
        metrics: the metrics, in per cent, JSON.
        classes: IoU and accuracy by class, CSV.
        confusion: the confusion matrix, one row for each pair of classes, CSV.
        images: the confusion matrix of every image, HDF5.
    """

    metrics: pathlib.Path
    classes: pathlib.Path
    confusion: pathlib.Path
    images: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Task:
    """What models are scored on.

    Attributes:
        dataset: root of the data set; only its name is recorded.
        split: the split.
        folder: cache of whole feature maps with their masks.
        options: the section `evaluation`.
    """

    dataset: pathlib.Path
    split: splits.Split
    folder: pathlib.Path
    options: protocols.Params

    @functools.cached_property
    def cache(self) -> index.Index:
        """The index of the cache."""
        return index.read(self.folder, "maps")

    def confusions(
        self, predict: Callable[..., Mapping[str, np.ndarray]], workers: int
    ) -> image_confusions.ImageConfusions:
        """Return the confusion matrices of all images in the cache.

        Args:
            predict: a `protocols.Predict` that also takes `stride`, that of the cache.
            workers: as in `protocols.confusions`.
        """
        # Masks that were resized before they were cached cannot be resized again.
        protocols.protocol(self.options, self.cache)
        tracked = progress.track(maps.read(self.folder), "evaluate (images)", total=len(self.cache.images))
        predict = functools.partial(predict, stride=self.cache.stride)
        return protocols.confusions(predict, tracked, self.split, self.options.short_side, workers)


def write(
    files: Files,
    task: Task,
    confusions: image_confusions.ImageConfusions,
    seen_bias: float,
    **further: Any,
) -> None:
    """Write the files of a model.

    Args:
        files: the paths.
        task: what the model was scored on.
        confusions: from `Task.confusions`, with the protocols `generalised` and `without_bias`, and `vanilla` if there is an unseen class.
        seen_bias: the bias of the protocol `generalised`.
        further: more entries of the metrics file, as plain values.
    """
    split, cache = task.split, task.cache
    roles = (split.seen, split.unseen, task.options.absent_classes)
    summaries = {name: metrics.summarise(confusions.total(name), *roles) for name in confusions.counts}
    # The vanilla protocol has no hIoU.
    for name in ("generalised", "without_bias"):
        interval = bootstrap.interval(bootstrap.Scored(confusions.images, [confusions.counts[name]], *roles))
        # Bounds of the 95 % interval over evaluation images.
        bounds = (None, None) if interval is None else (interval.low, interval.high)
        summaries[name] |= {"hIoU_low": bounds[0], "hIoU_high": bounds[1]}
    storage.write_json(
        files.metrics,
        {
            "generalised": summaries["generalised"],
            "without_bias": summaries["without_bias"],
            "vanilla": summaries["vanilla"]["unseen"] if "vanilla" in summaries else None,
            "seen_bias": seen_bias,
            "split": metrics_files.split_entry(split, task.dataset.name or str(task.dataset)),
            "exclude": split.exclude,
            "pretraining": protocols.pretraining_of(cache),
            "images": len(cache.images),
            "evaluation": protocols.protocol(task.options, cache),
            **further,
        },
    )
    image_confusions.write(files.images, confusions)
    matrix = confusions.total("generalised")
    storage.write_csv(files.classes, protocols.class_table(matrix, split.classes, split.unseen))
    storage.write_csv(files.confusion, protocols.confusion_table(matrix, split.classes))
