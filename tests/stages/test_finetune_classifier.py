import shutil

import numpy as np
import pandas
import pytest
import torch

from tests.support import pixel_world, quick_sections, stage_files
from zeroshot.base import params
from zeroshot.cache import rows
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.pixel_classifiers.cross_validation import calibration
from zeroshot.zs3net.classifiers import fine_tuning

BRIEF = {"epochs": 1, "steps_per_epoch": 8}


def run(folder, monkeypatch, *names, gmmn=BRIEF, **changes):
    """Run `train_gmmn` and then the stage, or the given stages."""
    sections = {"gmmn": quick_sections.gmmn_section(**gmmn), "classifier": quick_sections.classifier_section(**changes)}
    stage_files.run(folder, monkeypatch, *(names or ("train_gmmn", "finetune_classifier")), **sections)


def calibrated(**changes):
    return quick_sections.classifier_section()["calibration"] | changes


def test_writes_a_classifier_of_all_classes_with_the_bias_that_cross_validation_chose(tmp_path, monkeypatch):
    pixel_world.write_inputs(tmp_path)
    # Cross-validation needs no evaluation images.
    shutil.rmtree(tmp_path / "features/val")
    run(tmp_path, monkeypatch, gmmn={"epochs": 2}, synthetic_ratio=0.05)
    model, facts = pixel_classifier.load("models/classifiers/zs3net.pt")
    assert model.labels.tolist() == [*pixel_world.SEEN, *pixel_world.UNSEEN]
    assert model.labels[model.unseen].tolist() == list(pixel_world.UNSEEN)
    assert facts["classes"] == list(pixel_world.CLASSES)
    assert facts["config"] == params.to_dict(quick_sections.classifier_options(synthetic_ratio=0.05))
    assert facts["gmmn"] == params.to_dict(quick_sections.gmmn_options(epochs=2))
    curve = pandas.read_csv("metrics/classifier_curve.csv")
    assert curve["epoch"].tolist() == [0, 1] and list(curve) == ["epoch", "loss"]

    table = pandas.read_csv("metrics/calibration.csv")
    assert list(table) == ["held_out", "bias", "hIoU"]
    biases = calibrated()["biases"]
    scores = table.pivot(index="held_out", columns="bias", values="hIoU")
    assert scores.shape == (2, len(biases)) and scores.columns.tolist() == biases
    assert model.seen_bias == calibration.choose(scores.to_numpy(), biases) > 0
    held_out = " ".join(scores.index).split()
    seen = {pixel_world.CLASSES[label] for label in pixel_world.SEEN[1:]}
    assert len(held_out) == len(set(held_out)) == 4 and set(held_out) < seen


def test_outputs_are_byte_identical_in_different_folders(tmp_path, monkeypatch):
    results = []
    for name in ("one", "two"):
        pixel_world.write_inputs(tmp_path / name)
        run(tmp_path / name, monkeypatch, "train_gmmn")
        for _ in range(2):
            torch.rand(3)
            run(tmp_path / name, monkeypatch, "finetune_classifier", **BRIEF)
            results.append(stage_files.content(tmp_path / name, "finetune_classifier"))
    assert all(result == results[0] for result in results)


def test_parallel_folds_give_the_same_bytes(tmp_path, monkeypatch):
    pixel_world.write_inputs(tmp_path)
    run(tmp_path, monkeypatch, **BRIEF)
    alone = stage_files.content(tmp_path, "finetune_classifier")
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": 2, "scratch": "work"}
    sections = {"gmmn": quick_sections.gmmn_section(**BRIEF), "classifier": quick_sections.classifier_section(**BRIEF)}
    stage_files.run(tmp_path, monkeypatch, "finetune_classifier", **sections, runtime=runtime)
    assert stage_files.content(tmp_path, "finetune_classifier") == alone


def test_without_calibration_there_is_no_bias_and_an_empty_table(tmp_path, monkeypatch):
    pixel_world.write_inputs(tmp_path)
    run(tmp_path, monkeypatch, calibration=calibrated(enabled=False), **BRIEF)
    assert pixel_classifier.load("models/classifiers/zs3net.pt")[0].seen_bias == 0.0
    assert (tmp_path / "metrics/calibration.csv").read_text() == "held_out,bias,hIoU\n"


def test_calibration_changes_only_the_bias(tmp_path, monkeypatch):
    models = []
    pixel_world.write_inputs(tmp_path)
    run(tmp_path, monkeypatch, "train_gmmn")
    for enabled in (True, False):
        settings = calibrated(enabled=enabled, folds=1)
        run(tmp_path, monkeypatch, "finetune_classifier", calibration=settings, **BRIEF)
        models.append(pixel_classifier.load("models/classifiers/zs3net.pt")[0])
    assert torch.equal(models[0].weight, models[1].weight) and torch.equal(models[0].bias, models[1].bias)


def test_without_unseen_classes_it_fine_tunes_without_folds(tmp_path, monkeypatch):
    pixel_world.write_inputs(tmp_path)
    everything = tuple(range(len(pixel_world.CLASSES)))
    splits.write(tmp_path / "data/split.json", pixel_world.split(unseen=()))
    pixel_world.write_rows(tmp_path / "features/train", 80, 2, everything)
    start = pixel_world.start(everything)
    pixel_classifier.save(tmp_path / "models/classifiers/seen_only.pt", start, classes=list(pixel_world.CLASSES))
    run(tmp_path, monkeypatch, **BRIEF)
    model, _ = pixel_classifier.load("models/classifiers/zs3net.pt")
    assert model.labels.tolist() == list(everything) and model.seen_bias == 0.0 and not model.unseen.any()


def test_a_best_bias_at_the_end_of_the_grid_gives_a_warning(tmp_path, monkeypatch, capsys):
    pixel_world.write_inputs(tmp_path)
    run(tmp_path, monkeypatch, "train_gmmn")
    for index, warned in ((1, False), (2, True)):
        monkeypatch.setattr(calibration, "choose", lambda scores, biases, index=index: biases[index])
        capsys.readouterr()
        run(tmp_path, monkeypatch, "finetune_classifier", **BRIEF, calibration=calibrated(biases=[0, 2.5, 7]))
        text = "the best seen bias, 7, is the largest of classifier.calibration.biases; try larger ones"
        assert (text in capsys.readouterr().err) is warned


def test_too_few_classes_for_cross_validation_end_the_stage_before_it_trains(tmp_path, monkeypatch):
    pixel_world.write_inputs(tmp_path)
    shown = np.isin(np.arange(len(pixel_world.CLASSES)), pixel_world.SEEN[:2])
    monkeypatch.setattr(rows, "presence", lambda folder: np.tile(shown, (9, 1)))
    monkeypatch.setattr(fine_tuning, "fit", lambda *_: pytest.fail("trained"))
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, monkeypatch, gmmn=BRIEF)
    assert str(caught.value) == (
        "zero-shot cross-validation needs 2 seen classes besides the background, found 1; declare fewer classes unseen, or set"
        " classifier.calibration.enabled: false"
    )
