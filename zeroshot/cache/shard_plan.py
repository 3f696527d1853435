"""Planning a feature cache: which forward passes fill each shard."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable

import numpy as np

from zeroshot.base import errors, parallel
from zeroshot.cache import rows, sampling, sources, stored_features
from zeroshot.datasets import splits
from zeroshot.images import image_files, label_ids

MIB = 2**20


class DumpError(errors.UserError):
    """Raised when features are of no use: beyond the range of float16, all 0, or none of a seen class."""


def plan(
    source: sources.Source,
    options: sources.Params,
    track: Callable[[range], Iterable[int]] = lambda images: images,
    workers: int = 0,
) -> list[list[sources.Job]]:
    """Group the forward passes over `source` into shards of at most `shard_mib`; one larger pass fills a shard alone.

    The masks of a labelled list and the headers of the images are read. No network is run.

    Args:
        source: the list of the split.
        options: the section `features`.
        track: wraps the positions of the images, for a progress bar.
        workers: threads that read masks and headers.
    """

    def of_image(image: int) -> list[sources.Job]:
        return [_job(source, image, view, options) for view in range(len(source.views))]

    jobs = itertools.chain.from_iterable(parallel.in_order(of_image, track(range(len(source.items))), workers))
    shards: list[list[sources.Job]] = []
    room = 0
    for job in jobs:
        if job.bytes > room or not shards:
            shards.append([])
            room = options.shard_mib * MIB
        shards[-1].append(job)
        room -= job.bytes
    return shards


def _job(source: sources.Source, image: int, view: int, options: sources.Params) -> sources.Job:
    height, width = image_files.read_size(source.root / source.items[image].image)
    size = source.views[view].size(height, width)
    job = sources.Job(image, view, size, rows=0, bytes=0)
    h, w = source.map_size(size)
    feature_bytes = stored_features.bytes_of_number(options.storage) * source.dim
    mask_bytes = np.dtype(label_ids.DTYPE).itemsize
    if source.kind == "maps":
        return dataclasses.replace(
            job, rows=h * w, bytes=h * w * feature_bytes + math.prod(source.mask_size(size)) * mask_bytes
        )
    if source.masks is None:
        n_rows = min(math.prod(source.map_size((height, width))), options.unlabelled_pixels)
    else:
        labels, sampled = source.cell_labels(job)
        counts = sampling.count_labelled(labels, options.pixels_per_class, sampled)
        job, n_rows = dataclasses.replace(job, labels=tuple(counts)), sum(counts.values())
    return dataclasses.replace(job, rows=n_rows, bytes=n_rows * (feature_bytes + rows.ROW_BYTES))


def check_classes(
    shards: Iterable[Iterable[sources.Job]], lists: splits.Images, options: sources.Params, has_scales: bool = True
) -> None:
    """Check that the plan of the training images adds a row of every seen class.

    prepare_split has counted the cells of stride 4 at scale 1. At a smaller scale or a larger stride, small objects can lie between the
    centres of all cells.

    Args:
        shards: the plan of the list `train`.
        lists: gives the seen classes and the names.
        options: the section `features`.
        has_scales: whether the user's section has the key `scales`, for the text of the error.

    Raises:
        DumpError: with the names of all seen classes without a row.
    """
    present = {label for shard in shards for job in shard for label in job.labels}
    absent = [lists.classes[label] for label in lists.seen if label not in present]
    if absent:
        more = f" and {len(absent) - errors.MAX_LISTED} more" if len(absent) > errors.MAX_LISTED else ""
        where = f"features.scales: at {list(options.scales)} " if has_scales else ""
        remedy = "add a larger scale such as 1.0" if has_scales else "choose an encoder with smaller cells"
        raise DumpError(
            f"{where}no cell of a training image has its centre on an object of these seen classes: "
            f"{', '.join(absent[: errors.MAX_LISTED])}{more}; {remedy}, or declare the classes unseen"
        )
