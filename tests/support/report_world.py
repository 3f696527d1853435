"""A small workspace with the results of two models, for tests of the report."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import PIL.Image
import torch
import yaml

from tests.support import pixel_world, quick_sections, stage_files
from zeroshot.base import checkpoints
from zeroshot.cache import maps
from zeroshot.commands import report
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.zs3net.generators import registry

N_MAPS = 4
SECTIONS = {"visualise": quick_sections.visualise_section(), "data": {"root": "data/world"}}


def write(folder: pathlib.Path, monkeypatch: Any, classes: tuple[str, ...] = pixel_world.CLASSES) -> None:
    """Write split, vectors, caches, images, a generator, and two evaluated models: `seen_only`, and `zs3net` with a bias of 1.

    `classes` are the names of the classes. The current folder becomes `folder`.
    """
    monkeypatch.setattr(pixel_world, "CLASSES", classes)
    pixel_world.write_inputs(folder, n_maps=N_MAPS)
    items = tuple(splits.Item(f"val{number}", f"JPEGImages/val{number}.png") for number in range(N_MAPS))
    splits.write(folder / "data/split.json", dataclasses.replace(pixel_world.split(), val=items))
    (folder / "data/world/JPEGImages").mkdir(parents=True)
    for number, item in enumerate(maps.read(folder / "features/val")):
        pixels = np.random.default_rng(number).integers(0, 256, (*item.mask.shape, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"data/world/JPEGImages/{item.image}.png")
    everything = pixel_world.start(tuple(range(len(classes))))
    unseen = torch.isin(everything.labels, torch.tensor(pixel_world.UNSEEN))
    model = dataclasses.replace(everything, unseen=unseen, seen_bias=1.0)
    pixel_classifier.save(folder / "models/classifiers/zs3net.pt", model, classes=list(classes))
    vectors = torch.from_numpy(pixel_world.vectors())
    generator = registry.build(quick_sections.gmmn_options(), vectors, pixel_world.DIM, torch.device("cpu"))
    checkpoints.save(folder / "models/gmmn.pt", {"classes": list(classes), **registry.save_dict(generator)})
    stage_files.run(folder, monkeypatch, "evaluate", **SECTIONS)
    for kind in ("metrics", "classes", "confusion", "images"):
        suffix = {"metrics": ".json", "images": "_images.h5"}.get(kind, f"_{kind}.csv")
        monkeypatch.setitem(
            stage_files.ARGUMENTS,
            "evaluate",
            stage_files.ARGUMENTS["evaluate"].replace(f"zs3net{suffix}", f"seen_only{suffix}"),
        )
    monkeypatch.setitem(
        stage_files.ARGUMENTS, "evaluate", stage_files.ARGUMENTS["evaluate"].replace("zs3net.pt", "seen_only.pt")
    )
    stage_files.run(folder, monkeypatch, "evaluate", **SECTIONS)
    (folder / "metrics/calibration.csv").write_text(
        "held_out,bias,hIoU\na b,0.0,10\na b,1.0,40\na b,2.0,20\nc d,0.0,30\nc d,1.0,20\nc d,2.0,10\n"
    )
    (folder / "metrics/classifier_curve.csv").write_text("epoch,loss\n0,1.5\n1,0.5\n")


def parameters(folder: pathlib.Path) -> None:
    """Write a params.yaml with the sections that the report reads."""
    (folder / "params.yaml").write_text(yaml.safe_dump(quick_sections.document(**SECTIONS)))


def page(folder: pathlib.Path, **options: Any) -> str:
    """Write the report of the current folder and return it."""
    parameters(folder)
    report.main(out=folder / "report.html", **options)
    return (folder / "report.html").read_text(encoding="utf-8")
