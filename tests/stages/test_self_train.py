import dataclasses
import pathlib
import shutil

import pandas
import pytest
import torch

from tests.support import pixel_world, quick_sections, stage_files, unlabelled_world
from zeroshot.base import checkpoints, params
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.pixel_classifiers.cross_validation import calibration
from zeroshot.zs3net.pseudo_labels import pseudo_cache

BRIEF = {"epochs": 1, "steps_per_epoch": 8}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a trained ZS3Net and its folds of cross-validation."""
    folder = tmp_path_factory.mktemp("self_train") / "world"
    pixel_world.write_inputs(folder)
    unlabelled_world.write(folder)
    # Cross-validation needs neither evaluation images nor masks of unlabelled images.
    shutil.rmtree(folder / "features/val")
    shutil.rmtree(folder / "data/masks/unlabelled")
    with pytest.MonkeyPatch.context() as patch:
        gmmn, classifier = quick_sections.gmmn_section(**BRIEF), quick_sections.classifier_section(epochs=1)
        stage_files.run(folder, patch, "train_gmmn", "finetune_classifier", gmmn=gmmn, classifier=classifier)
    return folder


@pytest.fixture
def world(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copy")


def run(folder, monkeypatch, *names, pseudo=None, **changes):
    sections = {
        "pseudo_labels": quick_sections.pseudo_labels_section(**(pseudo or {})),
        "self_training": quick_sections.self_training_section(**{**BRIEF, **changes}),
    }
    stage_files.run(folder, monkeypatch, *(names or ("pseudo_label", "self_train")), **sections)


def test_writes_a_classifier_of_all_classes_with_the_bias_that_cross_validation_chose(world, monkeypatch):
    run(world, monkeypatch, rounds=2, epochs=2)
    model, facts = pixel_classifier.load("models/classifiers/zs5net.pt")
    start, before = pixel_classifier.load("models/classifiers/zs3net.pt")
    assert model.labels.tolist() == start.labels.tolist() and torch.equal(model.unseen, start.unseen)
    assert not torch.equal(model.weight, start.weight)
    assert facts == before | {
        "self_training": params.to_dict(quick_sections.self_training_options(**BRIEF | {"rounds": 2, "epochs": 2})),
        "pseudo_labels": params.to_dict(quick_sections.pseudo_labels_options()),
    }
    curve = pandas.read_csv("metrics/self_training_curve.csv")
    assert curve[["round", "epoch"]].to_numpy().tolist() == [[1, 0], [1, 1], [2, 0], [2, 1]]
    table = pandas.read_csv("metrics/self_training_calibration.csv")
    biases = quick_sections.self_training_section()["biases"]
    scores = table.pivot(index="held_out", columns="bias", values="hIoU")
    assert scores.columns.tolist() == biases
    assert len(scores) == len(checkpoints.load("models/cross_validation.pt")["folds"]) == 2
    assert model.seen_bias == calibration.choose(scores.to_numpy(), biases)


def test_outputs_are_byte_identical_in_different_folders(trained, tmp_path, monkeypatch):
    results = []
    for name in ("one", "two"):
        folder = shutil.copytree(trained, tmp_path / name)
        torch.rand(3)
        run(folder, monkeypatch, rounds=2)
        results.append(stage_files.content(folder, "self_train"))
    assert results[0] == results[1]


def test_parallel_folds_give_the_same_bytes(world, monkeypatch):
    run(world, monkeypatch)
    alone = stage_files.content(world, "self_train")
    training = quick_sections.self_training_section(**BRIEF)
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": 2, "scratch": "work"}
    stage_files.run(world, monkeypatch, "self_train", self_training=training, runtime=runtime)
    assert stage_files.content(world, "self_train") == alone


def test_a_second_round_makes_new_pseudo_labels(world, monkeypatch):
    run(world, monkeypatch, rounds=1, lr=0.05, biases=[])
    once, _ = pixel_classifier.load("models/classifiers/zs5net.pt")
    run(world, monkeypatch, "self_train", rounds=2, lr=0.05, biases=[])
    twice, _ = pixel_classifier.load("models/classifiers/zs5net.pt")
    assert not torch.equal(once.weight, twice.weight)
    shutil.rmtree(world / "features/unlabelled")
    # A single round uses the given pseudo-labels only.
    run(world, monkeypatch, "self_train", rounds=1, lr=0.05, biases=[])
    assert torch.equal(pixel_classifier.load("models/classifiers/zs5net.pt")[0].weight, once.weight)


def test_pseudo_labels_of_later_rounds_are_reported(world, monkeypatch):
    unlabelled_world.write(world)
    run(world, monkeypatch, rounds=1, lr=0.05, biases=[])
    once, _ = pixel_classifier.load("models/classifiers/zs5net.pt")
    options = quick_sections.pseudo_labels_options()
    pseudo_cache.write(world / "again", world / "features/unlabelled", once, options, {}, pixel_world.CLASSES)
    run(world, monkeypatch, "self_train", "report_pseudo_labels", rounds=3, lr=0.05, biases=[])
    later = pandas.read_csv("metrics/pseudo_labels_later.csv")
    assert later["round"].unique().tolist() == [2, 3]
    shutil.rmtree(world / "features/pseudo")
    shutil.move(world / "again", world / "features/pseudo")
    first = pandas.read_csv("metrics/pseudo_labels.csv")
    run(world, monkeypatch, "report_pseudo_labels")
    expected = pandas.read_csv("metrics/pseudo_labels.csv")
    assert not expected.equals(first)
    second = later[later["round"] == 2].drop(columns="round").reset_index(drop=True)
    pandas.testing.assert_frame_equal(second, expected)


def bias_zs3net(folder, seen_bias):
    start, facts = pixel_classifier.load(folder / "models/classifiers/zs3net.pt")
    pixel_classifier.save(
        folder / "models/classifiers/zs3net.pt", dataclasses.replace(start, seen_bias=seen_bias), **facts
    )


def test_without_biases_there_is_no_seen_bias(world, monkeypatch, capsys):
    bias_zs3net(world, 3.0)
    run(world, monkeypatch, biases=[])
    assert pixel_classifier.load("models/classifiers/zs5net.pt")[0].seen_bias == 0
    run(world, monkeypatch, pseudo={"rule": "agreement"}, biases=[])
    assert "cross-validated" not in capsys.readouterr().err
    assert pandas.read_csv("metrics/self_training_calibration.csv").empty


def test_agreement_is_not_cross_validated_and_gives_a_warning(world, monkeypatch, capsys):
    run(world, monkeypatch, pseudo={"rule": "agreement"})
    assert pandas.read_csv("metrics/self_training_calibration.csv").empty
    assert "agreement cannot be cross-validated" in capsys.readouterr().err


def test_without_pseudo_labels_the_stage_and_the_model_say_so(world, monkeypatch, capsys):
    run(world, monkeypatch, biases=[])
    assert "no_pseudo_labels" not in pixel_classifier.load("models/classifiers/zs5net.pt")[1]
    assert capsys.readouterr().out == ""
    run(world, monkeypatch, pseudo={"min_confidence": 1.0}, biases=[], rounds=2)
    assert pixel_classifier.load("models/classifiers/zs5net.pt")[1]["no_pseudo_labels"] is True
    assert (
        "self_train: no pseudo-labels, since the rule selected no pixel; the row of ZS5Net is no result of self-training\n"
        in capsys.readouterr().out
    )


def test_it_runs_without_unseen_classes(tmp_path, monkeypatch):
    labels = tuple(range(len(pixel_world.CLASSES)))
    pixel_world.write_inputs(tmp_path)
    shutil.rmtree(tmp_path / "features/train")
    pixel_world.write_rows(tmp_path / "features/train", 40, labels=labels)
    unlabelled_world.write(tmp_path, n_images=0)
    splits.write(tmp_path / "data/split.json", pixel_world.split(unseen=()))
    pixel_classifier.save(tmp_path / "models/classifiers/seen_only.pt", pixel_world.start(labels))
    sections = {
        "gmmn": quick_sections.gmmn_section(**BRIEF),
        "classifier": quick_sections.classifier_section(**BRIEF),
        "pseudo_labels": quick_sections.pseudo_labels_section(),
        "self_training": quick_sections.self_training_section(**BRIEF, rounds=2),
    }
    names = ("train_gmmn", "finetune_classifier", "pseudo_label", "self_train")
    stage_files.run(tmp_path, monkeypatch, *names, **sections)
    model, _ = pixel_classifier.load("models/classifiers/zs5net.pt")
    assert model.labels.tolist() == list(labels) and not model.unseen.any()


def test_later_rounds_are_stored_below_the_scratch_folder_and_removed(world, monkeypatch):
    write, written = pseudo_cache.write, []
    monkeypatch.setattr(pseudo_cache, "write", lambda folder, *rest: written.append(folder) or write(folder, *rest))
    run(world, monkeypatch, rounds=3, biases=[])
    assert written[0] == pathlib.Path("features/pseudo")
    assert [path.parts[0] for path in written[1:]] == ["work"] * 2
    assert not any(path.parent.exists() for path in written[1:])
