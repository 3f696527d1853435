"""The seen bias of FCN-JE on the features of tests/support/pixel_world.py."""

import dataclasses
import json
import pathlib

import pandas
import pytest
import torch
import yaml

from stages.szn import calibrate, evaluate
from tests.support import pixel_world, szn_world
from zeroshot.base import command_line
from zeroshot.cache import rows
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import pixel_classifier

WORDS = [
    *("--split-path", "split.json", "--features-dir", "features/train", "--joint-path", "joint.pt"),
    *("--classifier-path", "fcn_je.pt", "--calibration-path", "calibration.csv"),
]


def write_params(**changes):
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": 0, "scratch": "work"}
    main = {"evaluation": {"short_side": None, "absent_classes": "skip"}, "runtime": runtime}
    section = {"calibrated": True, "hold_out": "train_unseen", "biases": [0.0, 0.25, 0.5, 1.0, 2.0, 4.0], "folds": 3}
    section |= {"held_out": 1, "seed": 0, "pool_per_class": 60} | changes
    pathlib.Path("params.yaml").write_text(yaml.safe_dump(main))
    pathlib.Path("szn/params.yaml").write_text(yaml.safe_dump({"joint_embedding": section}))


@pytest.fixture
def world(tmp_path, monkeypatch):
    """The inputs of calibrate and evaluate in the current folder."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("szn").mkdir()
    write_params()
    splits.write("split.json", szn_world.split())
    pixel_world.write_rows(tmp_path / "features/train", 40)
    pixel_world.write_maps(tmp_path / "features/val", 3)
    pixel_classifier.save("joint.pt", szn_world.joint(), **splits.roles(szn_world.split()))


def biased() -> pixel_classifier.PixelClassifier:
    command_line.run(calibrate.main, WORDS)
    return pixel_classifier.load("fcn_je.pt", szn_world.split(), pixel_world.DIM)[0]


@pytest.mark.usefixtures("world")
def test_the_bias_is_the_best_of_the_folds_in_units_of_the_spread_and_nothing_else_changes():
    classifier, joint = biased(), szn_world.joint()
    table = pandas.read_csv("calibration.csv")
    mean = table.groupby("bias")["hIoU"].mean()
    best = min(mean.index[mean == mean.max()])
    assert set(table["held_out"]) == {pixel_world.CLASSES[label] for label in szn_world.TRAIN_UNSEEN}
    # Features of the world are noise around the means of the classes: the spread is that of the seen classes' products with the features.
    sampled = torch.from_numpy(rows.sample("features/train", 60, 0)["features"]).float()
    spread = joint.logits(sampled)[:, ~joint.unseen].var(1, correction=0).mean().sqrt().item()
    assert best > 0 and classifier.seen_bias == pytest.approx(best * spread, rel=0.1)
    for name in ("weight", "bias", "labels", "unseen"):
        torch.testing.assert_close(getattr(classifier, name), getattr(joint, name))


@pytest.mark.usefixtures("world")
def test_two_runs_give_the_same_bytes():
    biased()
    first = pathlib.Path("fcn_je.pt").read_bytes(), pathlib.Path("calibration.csv").read_bytes()
    biased()
    assert (pathlib.Path("fcn_je.pt").read_bytes(), pathlib.Path("calibration.csv").read_bytes()) == first


@pytest.mark.usefixtures("world")
def test_without_calibration_it_is_the_thesis_classifier():
    write_params(calibrated=False)
    assert biased().seen_bias == 0
    assert pathlib.Path("calibration.csv").read_text().splitlines() == ["held_out,bias,hIoU"]


@pytest.mark.usefixtures("world")
def test_too_few_classes_to_hold_out_are_refused_with_the_key():
    splits.write("split.json", dataclasses.replace(szn_world.split(), train_unseen=(3,)))
    with pytest.raises(SystemExit, match=r"set joint_embedding\.calibrated: false"):
        command_line.run(calibrate.main, WORDS)


@pytest.mark.usefixtures("world")
def test_its_metrics_have_the_thesis_labels_beside_those_with_the_bias():
    classifier = biased()
    words = (
        "--variant fcn_je --dataset data/world --split-path split.json --features-dir features/val --classes-path c.csv"
    )
    outs = "--confusion-path m.csv --images-path images.h5"
    scores = {}
    for model in ("fcn_je", "joint"):
        command_line.run(evaluate.main, f"{words} {outs} --model-path {model}.pt --metrics-path {model}.json".split())
        scores[model] = json.loads(pathlib.Path(f"{model}.json").read_text())
    assert scores["fcn_je"]["seen_bias"] == classifier.seen_bias > 0
    assert scores["fcn_je"]["without_bias"] == scores["joint"]["without_bias"] == scores["joint"]["generalised"]
    assert scores["fcn_je"]["thesis"] == scores["joint"]["thesis"]
    assert scores["fcn_je"]["generalised"]["hIoU"] > scores["fcn_je"]["without_bias"]["hIoU"]
