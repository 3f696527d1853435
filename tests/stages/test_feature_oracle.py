import pandas
import pytest
import torch
import yaml

from stages import feature_oracle
from tests.support import dag, pixel_world, quick_sections, unlabelled_world
from zeroshot.base import command_line, params
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.pixel_classifiers.cross_validation import calibration

STAGE = dag.stages()["feature_oracle"]
UNSEEN = list(pixel_world.UNSEEN)


def make(folder, n_images=12, labels=tuple(range(10)), workers=0, **changes):
    """Write all inputs of the stage."""
    pixel_world.write_training_inputs(folder)
    unlabelled_world.write(folder, n_images, labels)
    recipe = params.to_dict(quick_sections.classifier_options(**changes))
    pixel_classifier.save(folder / "models/classifiers/zs3net.pt", pixel_world.start(), config=recipe)
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": workers, "scratch": "work"}
    (folder / "params.yaml").write_text(yaml.safe_dump({"runtime": runtime}))
    return folder


def run(folder, monkeypatch):
    """Run the stage and return its classifier and the metadata of the checkpoint."""
    monkeypatch.chdir(folder)
    command_line.run(feature_oracle.main, STAGE.argv)
    return pixel_classifier.load("models/classifiers/feature_oracle.pt")


def test_options_are_those_of_zs3net_without_its_weight_and_calibration_is_over_images(tmp_path, monkeypatch):
    model, facts = run(make(tmp_path, steps_per_epoch=30, unseen_weight=10.0), monkeypatch)
    assert model.labels.tolist() == [*pixel_world.SEEN, *UNSEEN]
    assert model.labels[model.unseen].tolist() == UNSEEN
    options = quick_sections.classifier_options(steps_per_epoch=30, unseen_weight=1.0)
    assert facts["config"] == params.to_dict(options) and facts["classes"] == list(pixel_world.CLASSES)
    assert pandas.read_csv("metrics/feature_oracle_curve.csv")["epoch"].tolist() == [0, 1]
    table = pandas.read_csv("metrics/feature_oracle_calibration.csv")
    scores = table.pivot(index="held_out", columns="bias", values="hIoU")
    assert scores.shape == (2, len(options.calibration.biases))
    assert model.seen_bias == calibration.choose(scores.to_numpy(), options.calibration.biases)


def test_outputs_are_byte_identical_in_different_folders(tmp_path, monkeypatch):
    written = []
    for name in ("one", "two"):
        run(make(tmp_path / name, epochs=1, steps_per_epoch=5), monkeypatch)
        written.append([(tmp_path / name / out).read_bytes() for out in STAGE.outs])
    assert written[0] == written[1]


def test_parallel_parts_give_the_same_bytes(tmp_path, monkeypatch):
    written = []
    for workers in (1, 2):
        folder = make(tmp_path / str(workers), workers=workers, epochs=1, steps_per_epoch=5)
        run(folder, monkeypatch)
        written.append([(folder / out).read_bytes() for out in STAGE.outs])
    assert written[0] == written[1]


def test_without_a_scored_part_there_is_a_warning_and_no_bias(tmp_path, monkeypatch, capsys):
    model, _ = run(make(tmp_path, n_images=1, epochs=1, steps_per_epoch=5), monkeypatch)
    assert model.seen_bias == 0 and model.unseen.any()
    assert "no fold can be scored, so there is no seen bias" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("n_images", "labels", "known"), [(0, (0,), []), (4, (0, 1, 2), []), (6, (0, 5), [5])], ids=str
)
def test_an_unseen_class_without_a_pixel_has_no_row(tmp_path, monkeypatch, capsys, n_images, labels, known):
    model, _ = run(make(tmp_path, n_images, labels, epochs=1, steps_per_epoch=5), monkeypatch)
    assert model.labels.tolist() == [*pixel_world.SEEN, *known]
    assert model.labels[model.unseen].tolist() == known
    assert known or model.seen_bias == 0
    text = "feature_oracle: no unlabelled image has a mask with an unseen class"
    assert (text in capsys.readouterr().out) == (not known)


def test_without_unseen_classes_it_is_the_supervised_classifier(tmp_path, monkeypatch):
    make(tmp_path, n_images=0, epochs=1, steps_per_epoch=5)
    everything = tuple(range(len(pixel_world.CLASSES)))
    splits.write(tmp_path / "data/split.json", pixel_world.split(unseen=()))
    pixel_world.write_rows(tmp_path / "features/train", 80, 2, everything)
    pixel_classifier.save(tmp_path / "models/classifiers/seen_only.pt", pixel_world.start(everything))
    model, _ = run(tmp_path, monkeypatch)
    assert model.labels.tolist() == list(everything) and not model.unseen.any() and model.seen_bias == 0
    assert torch.isfinite(model.weight).all()
