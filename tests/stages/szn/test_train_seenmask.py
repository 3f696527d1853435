"""Stage two of SZN on the features of tests/support/pixel_world.py, and what evaluation makes of it."""

import dataclasses
import json
import pathlib

import numpy as np
import pandas
import pytest
import torch
import yaml

from stages.szn import dump, evaluate, train_seenmask
from tests.support import pixel_world, szn_world
from zeroshot.base import command_line
from zeroshot.cache import maps, pools, rows
from zeroshot.datasets import splits
from zeroshot.evaluation import image_confusions, metrics
from zeroshot.pixel_classifiers import labelling, masked_classifier, pixel_classifier
from zeroshot.szn import seen_mask, variants

N = len(pixel_world.CLASSES)
TRAIN = [
    *("--split-path", "split.json", "--features-dir", "features/train", "--joint-path", "fcn_je.pt"),
    *("--szn-path", "szn.pt", "--szn-ps-path", "szn_ps.pt"),
    *("--curve-path", "curve.csv", "--calibration-path", "calibration.csv"),
]
OUTS = ("szn.pt", "szn_ps.pt", "curve.csv", "calibration.csv")


def write_params(**changes):
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": 0, "scratch": "work"}
    main = {"evaluation": {"short_side": None, "absent_classes": "skip"}, "runtime": runtime}
    pathlib.Path("params.yaml").write_text(yaml.safe_dump(main))
    pathlib.Path("szn/params.yaml").write_text(yaml.safe_dump({"seen_mask": szn_world.section(**changes)}))


@pytest.fixture
def world(tmp_path, monkeypatch):
    """The inputs of train_seenmask and evaluate in the current folder."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("szn").mkdir()
    write_params()
    splits.write("split.json", szn_world.split())
    pixel_world.write_rows(tmp_path / "features/train", 40)
    pixel_world.write_maps(tmp_path / "features/val", 3)
    pixel_classifier.save("fcn_je.pt", szn_world.joint(), **splits.roles(szn_world.split()))
    return tmp_path


def evaluated(variant):
    """Run evaluate for a variant and return its metrics and its matrices."""
    words = f"--variant {variant} --dataset data/world --split-path split.json --features-dir features/val --model-path {variant}.pt"
    outs = f"--metrics-path {variant}.json --classes-path c.csv --confusion-path m.csv --images-path {variant}.h5"
    command_line.run(evaluate.main, f"{words} {outs}".split())
    return json.loads(pathlib.Path(f"{variant}.json").read_text()), image_confusions.read(f"{variant}.h5")


def test_the_mask_is_that_of_all_rows_and_its_threshold_the_best_of_the_folds(world):
    command_line.run(train_seenmask.main, TRAIN)
    masked, facts = masked_classifier.load("szn.pt", szn_world.split(), pixel_world.DIM)
    options = szn_world.options()
    real = pools.select(rows.sample("features/train", options.pool_per_class, options.seed), pixel_world.SEEN)
    *_, (row, (weight, bias)) = seen_mask.fit(real, szn_world.TRAIN_SEEN, options, torch.device("cpu"))
    torch.testing.assert_close(masked.mask_weight, weight)
    torch.testing.assert_close(masked.mask_bias, bias)
    curve, table = pandas.read_csv("curve.csv"), pandas.read_csv("calibration.csv")
    assert curve["epoch"].tolist() == [0, 1] and curve["loss"].iloc[-1] == pytest.approx(row["loss"])
    assert list(table.columns) == ["held_out", "bias", "hIoU"] and set(table["bias"]) == {-3, 0, 3}
    mean = table.groupby("bias")["hIoU"].mean()
    assert masked.seen_bias == min(mean.index[mean == mean.max()])
    assert facts["train_unseen"] == list(szn_world.TRAIN_UNSEEN) and facts["config"]["void"] == "ignored"
    perfect = masked_classifier.load("szn_ps.pt")[0]
    assert not perfect.mask_weight.any() and perfect.seen_bias == 0


def test_two_runs_give_the_same_bytes(world):
    command_line.run(train_seenmask.main, TRAIN)
    first = [pathlib.Path(out).read_bytes() for out in OUTS]
    command_line.run(train_seenmask.main, TRAIN)
    assert [pathlib.Path(out).read_bytes() for out in OUTS] == first


def test_without_calibration_a_pixel_is_seen_where_that_is_likelier(world):
    write_params(calibration={"enabled": False})
    command_line.run(train_seenmask.main, TRAIN)
    assert masked_classifier.load("szn.pt")[0].seen_bias == 0
    assert pathlib.Path("calibration.csv").read_text().splitlines() == ["held_out,bias,hIoU"]


def test_a_threshold_at_an_end_of_its_list_is_named_as_such(world, capsys):
    write_params(calibration={"thresholds": [-9, 0]})
    command_line.run(train_seenmask.main, TRAIN)
    text = "the best threshold, -9, is the smallest of seen_mask.calibration.thresholds; try smaller ones\n"
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "split", "message"),
    [
        ({}, {"train_unseen": ()}, "split.train_unseen: is empty, so nothing teaches the seen mask"),
        ({"void": "unseen"}, {}, "seen_mask.void: is unseen, but no ignored pixel is cached"),
        (
            {"void": "unseen"},
            {"exclude": "pixels"},
            "with data.exclude: pixels the ignored pixels are those of unseen classes",
        ),
        ({}, {"train_unseen": (3,)}, "set seen_mask.calibration.enabled: false"),
        (
            {},
            {"unseen": (5,), "seen": (*pixel_world.SEEN, 9)},
            "is a classifier of another run: it has as unseen .* as seen",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_the_mask_is_trained(world, section, split, message):
    write_params(**section)
    splits.write("split.json", dataclasses.replace(szn_world.split(), **split))
    with pytest.raises(SystemExit, match=message):
        command_line.run(train_seenmask.main, TRAIN)
    assert not any(pathlib.Path(out).exists() for out in OUTS)


@pytest.mark.parametrize(
    ("path", "message"), [("fcn_je.pt", r"fcn_je\.pt: No such file"), ("split.json", r"split\.json: is not a split")]
)
def test_a_missing_file_is_named(world, path, message):
    pathlib.Path(path).unlink()
    with pytest.raises(SystemExit, match=message):
        command_line.run(train_seenmask.main, TRAIN)


def test_ignored_pixels_teach_the_mask_where_the_parameters_say_so(world):
    szn_world.write_ignored(world / "features/void", 40, 60, 3.0)
    words = [word if word != "features/train" else "features/void" for word in TRAIN]
    masks = {}
    for void in ("ignored", "unseen"):
        write_params(void=void)
        command_line.run(train_seenmask.main, words)
        masks[void], facts = masked_classifier.load("szn.pt")
        assert facts["config"]["void"] == void
    probe = torch.full((1, pixel_world.DIM), 3.0)
    assert masks["unseen"].log_odds(probe) < masks["ignored"].log_odds(probe)


@pytest.mark.parametrize("candidates", ["unseen_and_train_unseen", "unseen"])
def test_variants_are_scored_as_computed_by_hand_and_the_theorem_holds(world, candidates):
    write_params(candidates=candidates)
    command_line.run(train_seenmask.main, TRAIN)
    split, found = szn_world.split(), {name: evaluated(name) for name in ("fcn_je", "szn", "szn_ps")}
    masked = masked_classifier.load("szn.pt")[0]
    expected = dict.fromkeys(found, 0)
    for item in maps.read("features/val"):
        sides = labelling.predict_masked_maps(masked, item.features, item.mask.shape, stride=4)
        untrained = np.isin(item.mask, [*split.unseen, *split.train_unseen])
        labels = {
            "fcn_je": labelling.predict_maps(szn_world.joint(), item.features, item.mask.shape, stride=4)[
                "generalised"
            ],
            "szn": sides["generalised"],
            "szn_ps": np.where(untrained, sides["unseen_side"], sides["seen_side"]),
        }
        for name in found:
            expected[name] = expected[name] + metrics.confusion(item.mask, labels[name], N)
    for name, (values, confusions) in found.items():
        matrix = confusions.total("generalised")
        np.testing.assert_array_equal(matrix, expected[name])
        summary = metrics.summarise(matrix, split.seen, split.unseen)
        assert values["generalised"]["hIoU"] == summary["hIoU"]
        assert values["thesis"] == variants.thesis_metrics(confusions.total("without_bias"), split)
        assert ("upper_bound" in values) == (name == "szn_ps") and ("mask_accuracy" in values) == (name == "szn")
        assert values["train_unseen"] == [pixel_world.CLASSES[label] for label in szn_world.TRAIN_UNSEEN]
    assert found["szn"][0]["seen_bias"] == masked.seen_bias and found["szn"][0]["candidates"] == candidates
    assert found["szn"][0]["mask_accuracy"] == variants.mask_accuracy(expected["szn"], masked, split)
    right = [expected[name][list(split.unseen), list(split.unseen)] for name in ("fcn_je", "szn_ps")]
    assert (right[0] <= right[1]).all() and right[1].sum() > right[0].sum() > 0


def test_a_model_of_another_split_is_not_scored(world):
    command_line.run(train_seenmask.main, TRAIN)
    splits.write("split.json", dataclasses.replace(szn_world.split(), unseen=(5,), seen=(*pixel_world.SEEN, 9)))
    for variant in ("fcn_je", "szn"):
        with pytest.raises(SystemExit, match=rf"{variant}\.pt: is a classifier of another run"):
            evaluated(variant)


def test_training_features_need_their_masks(world):
    words = [
        "--data-root",
        "d",
        "--images-path",
        "i",
        "--network-path",
        "n",
        "--val-masks-dir",
        "m",
        "--train-dir",
        "t",
        "--val-dir",
        "v",
    ]
    with pytest.raises(SystemExit, match="dump: --train-dir needs --train-masks-dir"):
        command_line.run(dump.main, words)
