"""Writing a feature cache: the network runs over the planned jobs and its features are written shard by shard."""

import itertools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch

from zeroshot.base import parallel
from zeroshot.cache import graphs, maps, rows, shard_plan, sources
from zeroshot.datasets import splits

# Larger magnitudes are refused. The largest finite float16 is 65504.
FLOAT16_LIMIT = 6e4
# Largest number of pixels in a batch, because the memory of the network grows with pixels and not with images: 16 images of 513 x 513,
# the released batch and size, at twice the scale. One larger image is a batch by itself.
BATCH_PIXELS = 16 * (2 * 513) ** 2


def write_shard(
    path: pathlib.Path,
    source: sources.Source,
    jobs: list[sources.Job],
    extract: Callable[[torch.Tensor], torch.Tensor],
    options: sources.Params,
    workers: int = 0,
    lr_key: str = "backbone.lr",
) -> None:
    """Run the network over the jobs of one shard and write it.

    Args:
        path: the shard's file.
        source: the list of the split that the jobs' images belong to.
        jobs: one group of jobs from `shard_plan.plan`.
        extract: maps images (b, 3, H, W) uint8 to features (b, d, h, w).
        options: the section `features`.
        workers: threads that read images ahead of the network.
        lr_key: the parameter with the learning rate of the network, for errors.

    Raises:
        DumpError: if a feature is not finite or too large for float16, or all are 0.
    """
    # Feature maps arrive in the order of the batches. A shard of rows keeps only the sampled cells of each map, to save memory.
    extracted = extract_maps(source, jobs, extract, options.batch_size, workers)
    if source.kind == "maps":
        # PyTorch and numpy round to the same float16, and PyTorch is far faster.
        maps_by_job = {number: cells.half().numpy() for number, cells in extracted}
        features = [maps_by_job[number] for number in range(len(jobs))]
        _check(features, path, lr_key)
        maps.write(
            path, [job.image for job in jobs], features, [source.read_mask(job) for job in jobs], options.storage
        )
    else:
        rows_by_job = {number: _sample(source, jobs[number], cells, options) for number, cells in extracted}
        names = (*rows.COLUMNS, "features")
        table = {name: np.concatenate([rows_by_job[number].pop(name) for number in range(len(jobs))]) for name in names}
        _check([table["features"]], path, lr_key)
        rows.write(path, table, options.storage)


def _sample(source: sources.Source, job: sources.Job, cells: torch.Tensor, options: sources.Params) -> rows.Rows:
    """Return the rows sampled from a job's features (h, w, d)."""
    columns = source.draw(job, options)
    y, x = source.cells(job, columns["position"])
    return {
        **columns,
        "features": cells.numpy()[y, x].astype(np.float16),
        "image": np.full(len(y), job.image, np.int32),
        "view": np.full(len(y), job.view, np.uint8),
    }


def write_graphs(
    path: pathlib.Path,
    source: sources.Source,
    track: Callable[[Sequence[splits.Item]], Iterable[splits.Item]] = lambda items: items,
    workers: int = 0,
) -> None:
    """Write the component graphs of the images of a labelled list, in view 0.

    Args:
        path: the file, replaced as a whole.
        source: a list of the split with masks.
        track: wraps the list of images, for a progress bar.
        workers: threads that read masks.
    """

    def read(item: splits.Item) -> np.ndarray:
        return source.view_mask(item, 0)

    masks = parallel.in_order(read, track(source.items), workers)
    graphs.write(path, graphs.of_masks(masks, source.stride))


def extract_maps(
    source: sources.Source,
    jobs: list[sources.Job],
    extract: Callable[[torch.Tensor], torch.Tensor],
    batch_size: int,
    workers: int = 0,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Run the network over jobs; images of equal size share batches, whatever their positions in the list.

    A batch has at most `batch_size` images and, unless it is a single image, at most `BATCH_PIXELS` pixels.

    Yields:
        the position of a job in `jobs` and its features (h, w, d) float32 on the CPU. Sizes are ordered by their first job, and jobs
        of one size by their position.
    """
    by_size: dict[tuple[int, int], list[int]] = {}
    for number, job in enumerate(jobs):
        by_size.setdefault(job.size, []).append(number)
    order = itertools.chain.from_iterable(by_size.values())
    image_stream = parallel.in_order(source.read_image, (jobs[number] for number in order), workers)
    for (height, width), numbers in by_size.items():
        size = max(1, min(batch_size, BATCH_PIXELS // (height * width)))
        for start in range(0, len(numbers), size):
            batch = numbers[start : start + size]
            images = torch.from_numpy(np.stack(list(itertools.islice(image_stream, len(batch))))).permute(0, 3, 1, 2)
            cells = extract(images).float().permute(0, 2, 3, 1).cpu()
            yield from zip(batch, cells, strict=True)


def _check(features: list[np.ndarray], path: pathlib.Path, lr_key: str) -> None:
    remedy = f"train the network again with a lower {lr_key}"
    largest = [max(-low, high) for low, high in map(_extremes, filter(np.size, features))]
    if largest and not any(largest):
        raise shard_plan.DumpError(f"{path.name}: all features are 0; {remedy}")
    for value in largest:
        # NaN fails every comparison, so `not <` refuses it too.
        if not value < FLOAT16_LIMIT:
            raise shard_plan.DumpError(f"{path.name}: features reach {value}, beyond the range of float16; {remedy}")


def _extremes(array: np.ndarray) -> tuple[float, float]:
    """Return the least and the greatest number of an array, both NaN if it has a NaN."""
    low, high = torch.from_numpy(array).aminmax()
    return low.item(), high.item()
