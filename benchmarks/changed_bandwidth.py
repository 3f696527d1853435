"""What a changed bandwidth costs: generator, classifier with its folds, and evaluation, on a cache of random features in VOC's size.

    zeroshot preset voc_small
    python -m benchmarks.changed_bandwidth /tmp/voc_sized

The cache has 5,900 training images with 256 pixels of each class and image, 20 classes, and 1,449 evaluation images: 5.4 GB. It is made
at the first call. The stages read the sections of params.yaml in the current folder, and write into the other one. They run by their
commands; what DVC itself takes, and pictures, the summary and ZS5Net, are left out.
"""

import json
import os
import pathlib
import resource
import shlex
import subprocess
import sys
import time

import tyro
import yaml

from benchmarks import generated_cache

_STAGES = ("train_gmmn", "finetune_classifier", "evaluate@zs3net")


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
    sizes = {"train": train, "val": val, "classes": classes, "unseen": unseen, "pixels": pixels}
    record = folder / "sizes.json"
    if not record.exists():
        generated_cache.write(folder, train, val, classes, unseen, pixels)
        record.write_text(json.dumps(sizes))
    elif json.loads(record.read_text()) != sizes:
        sys.exit(f"{folder}: has a cache of other sizes, {record.read_text()}; remove it or give another folder")
    (folder / "data/pretrained").mkdir(parents=True, exist_ok=True)
    (folder / "data/pretrained/none").touch()
    for name in ("params.yaml", "stages", "zeroshot"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(pathlib.Path(name).resolve())
    stages = yaml.safe_load(pathlib.Path("dvc.yaml").read_text())["stages"]
    total = 0.0
    for stage in _STAGES:
        name, _, model = stage.partition("@")
        command = shlex.split(stages[name]["cmd"].replace("${item.model}", model))
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command[1:]], cwd=folder, env=os.environ, check=True)
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(
            f"{stage}: {seconds:.1f} s, {cpu:.1f} s of CPU, peak so far {after.ru_maxrss / 2**20:.2f} GiB", flush=True
        )
        total += seconds
    print(f"together: {total:.1f} s")


if __name__ == "__main__":
    tyro.cli(main)
