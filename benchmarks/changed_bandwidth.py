"""What a changed bandwidth costs: generator, classifier with its folds, and evaluation, on a cache of random features in VOC's size.

    zeroshot preset voc_small
    python -m benchmarks.changed_bandwidth /tmp/voc_sized

The cache has 5,900 training images with 256 pixels of each class and image, 20 classes, and 1,449 evaluation images: 5.4 GB. It is made
at the first call. The stages read the sections of params.yaml in the current folder, and write into the other one. They run by their
commands; what DVC itself takes, and pictures, the summary and ZS5Net, are left out.
"""

import concurrent.futures
import dataclasses
import json
import multiprocessing
import os
import pathlib
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator

import tyro
import yaml

from benchmarks import generated_cache

_STAGES = ("train_gmmn", "finetune_classifier", "evaluate@zs3net")


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Training images, evaluation images, classes without the background, unseen ones among them, pixels of each class and image."""

    train: int
    val: int
    classes: int
    unseen: int
    pixels: int


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a stage took: seconds, seconds of CPU, and GiB of memory of its largest process."""

    stage: str
    seconds: float
    cpu: float
    peak: float


def main(
    folder: tyro.conf.Positional[pathlib.Path],
    *,
    train: int = 5900,
    val: int = 1449,
    classes: int = 20,
    unseen: int = 4,
    pixels: int = 256,
) -> None:
    """Run the stages of a changed bandwidth and print their times.

    Args:
        folder: where the cache is or will be made.
        train: training images.
        val: evaluation images.
        classes: classes without the background.
        unseen: unseen classes among them.
        pixels: pixels of each class and training image.
    """
    if folder.resolve() == pathlib.Path.cwd():
        sys.exit("give another folder than the current one, whose params.yaml is read")
    sizes = Sizes(train, val, classes, unseen, pixels)
    record, content = folder / "sizes.json", json.dumps(dataclasses.asdict(sizes))
    if not record.exists():
        write(folder, sizes)
        record.write_text(content)
    elif record.read_text() != content:
        sys.exit(f"{folder}: has a cache of other sizes, {record.read_text()}; remove it or give another folder")
    total = 0.0
    for cost in run(folder):
        print(f"{cost.stage}: {cost.seconds:.1f} s, {cost.cpu:.1f} s of CPU, peak {cost.peak:.2f} GiB", flush=True)
        total += cost.seconds
    print(f"together: {total:.1f} s")


def write(folder: pathlib.Path, sizes: Sizes) -> None:
    """Write a cache of these sizes, with all that the stages read except their parameters."""
    arguments = (folder, sizes.train, sizes.val, sizes.classes, sizes.unseen, sizes.pixels)
    # The peak of a process counts the memory of the one that started it, so this one must stay small.
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        other.submit(generated_cache.write, *arguments).result()


def run(folder: pathlib.Path) -> Iterator[Cost]:
    """Run the stages on the cache in `folder` with the parameters of the current folder, and yield what each cost."""
    (folder / "data/pretrained").mkdir(parents=True, exist_ok=True)
    (folder / "data/pretrained/none").touch()
    for name in ("params.yaml", "stages", "zeroshot"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(pathlib.Path(name).resolve())
    stages = yaml.safe_load(pathlib.Path("dvc.yaml").read_text())["stages"]
    for stage in _STAGES:
        name, _, model = stage.partition("@")
        command = shlex.split(stages[name]["cmd"].replace("${item.model}", model))
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, *command[1:]], cwd=folder)
        # The usage of this process and of its workers, of which the largest counts.
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{stage} failed")
        yield Cost(stage, time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20)


if __name__ == "__main__":
    tyro.cli(main)
