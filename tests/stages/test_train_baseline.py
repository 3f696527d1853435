import numpy as np
import pandas
import pytest
import torch
import yaml

from stages import train_baseline
from tests.support import dag, pixel_world, quick_sections
from zeroshot.base import command_line, params
from zeroshot.cache import pools, rows
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.pixel_classifiers.cross_validation import calibration
from zeroshot.zs3net.classifiers import baselines

METHODS = ("devise", "ale", "spnet")
STAGES = {method: dag.stages()[f"train_baseline@{method}"] for method in METHODS}
methods = pytest.mark.parametrize("method", METHODS)


def run(folder, monkeypatch, method, workers=0, **changes):
    """Run the stage in `folder` and return the bytes of its outputs."""
    monkeypatch.chdir(folder)
    document = quick_sections.document(baseline=quick_sections.baseline_section(**changes))
    document["runtime"]["workers"] = workers
    (folder / "params.yaml").write_text(yaml.safe_dump(document))
    command_line.run(train_baseline.main, STAGES[method].argv)
    return {out: (folder / out).read_bytes() for out in STAGES[method].outs}


@methods
def test_writes_a_classifier_of_all_classes_calibrated_if_enabled(tmp_path, monkeypatch, method):
    pixel_world.write_training_inputs(tmp_path)
    run(tmp_path, monkeypatch, method)
    model, facts = pixel_classifier.load(f"models/classifiers/{method}.pt")
    assert model.labels.tolist() == [*pixel_world.SEEN, *pixel_world.UNSEEN]
    assert model.labels[model.unseen].tolist() == list(pixel_world.UNSEEN)
    assert facts["classes"] == list(pixel_world.CLASSES) and facts["exclude"] == "images"
    options = quick_sections.baseline_options()
    assert facts["method"] == method and facts["config"] == params.to_dict(options)
    assert pandas.read_csv(f"metrics/{method}_curve.csv")["epoch"].tolist() == [0, 1]

    table = pandas.read_csv(f"metrics/{method}_calibration.csv")
    assert list(table) == ["held_out", "bias", "hIoU"]
    if method == "spnet":
        scores = table.pivot(index="held_out", columns="bias", values="hIoU")
        assert scores.shape == (2, len(options.biases))
        sampled = rows.sample("features/train", options.pool_per_class, options.seed)
        unit = baselines.spread(model, pools.select(sampled, pixel_world.SEEN), options)
        # The bias is the same for all classes of a pixel, so the spread of their logits does not change.
        assert model.seen_bias == pytest.approx(calibration.choose(scores.to_numpy(), options.biases) * unit, rel=1e-5)
        assert model.seen_bias > 0
    else:
        assert table.empty and model.seen_bias == 0


def test_calibration_changes_only_the_bias(tmp_path, monkeypatch):
    pixel_world.write_training_inputs(tmp_path)
    models = []
    for calibrated in (False, True):
        run(tmp_path, monkeypatch, "ale", ale={"lr": 0.02, "calibrated": calibrated}, biases=[0.5])
        models.append(pixel_classifier.load("models/classifiers/ale.pt")[0])
    assert torch.equal(models[0].weight, models[1].weight) and torch.equal(models[0].bias, models[1].bias)
    assert models[0].seen_bias == 0 < models[1].seen_bias


@methods
def test_outputs_are_byte_identical_in_different_folders(tmp_path, monkeypatch, method):
    results = []
    for name in ("one", "two"):
        pixel_world.write_training_inputs(tmp_path / name)
        torch.rand(3)
        results.append(run(tmp_path / name, monkeypatch, method, epochs=1, steps_per_epoch=5))
    assert results[0] == results[1]


def test_parallel_folds_give_the_same_bytes(tmp_path, monkeypatch):
    pixel_world.write_training_inputs(tmp_path)
    alone, side_by_side = (run(tmp_path, monkeypatch, "spnet", workers) for workers in (1, 2))
    assert alone == side_by_side


@methods
def test_without_unseen_classes_it_learns_the_seen_ones(tmp_path, monkeypatch, method):
    pixel_world.write_training_inputs(tmp_path)
    everything = tuple(range(len(pixel_world.CLASSES)))
    splits.write(tmp_path / "data/split.json", pixel_world.split(unseen=()))
    pixel_world.write_rows(tmp_path / "features/train", 80, 2, everything)
    run(tmp_path, monkeypatch, method)
    model, _ = pixel_classifier.load(f"models/classifiers/{method}.pt")
    assert model.labels.tolist() == list(everything) and not model.unseen.any() and model.seen_bias == 0


def test_a_best_bias_at_the_end_of_the_grid_gives_a_warning(tmp_path, monkeypatch, capsys):
    pixel_world.write_training_inputs(tmp_path)
    for biases, warned in (([-9, 0.5], True), ([-9, 0.5, 9], False), ([0.5], False)):
        capsys.readouterr()
        run(tmp_path, monkeypatch, "spnet", biases=biases)
        text = "the best seen bias, 0.5, is the largest of baseline.biases; try larger ones"
        assert (text in capsys.readouterr().err) is warned


@methods
def test_too_few_classes_for_cross_validation_end_the_stage_before_it_trains(tmp_path, monkeypatch, method):
    pixel_world.write_training_inputs(tmp_path)
    shown = np.isin(np.arange(len(pixel_world.CLASSES)), pixel_world.SEEN[:2])
    monkeypatch.setattr(rows, "presence", lambda folder: np.tile(shown, (9, 1)))
    monkeypatch.setattr(baselines, "fit", lambda *_: pytest.fail("trained"))
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, monkeypatch, method, **{method: {"lr": 0.02, "calibrated": True}})
    assert str(caught.value) == (
        "zero-shot cross-validation needs 2 seen classes besides the background, found 1; declare fewer classes unseen, or set"
        f" baseline.{method}.calibrated: false"
    )


def test_a_learning_rate_that_explodes_the_loss_ends_the_stage(tmp_path, monkeypatch):
    pixel_world.write_training_inputs(tmp_path)
    with pytest.raises(
        SystemExit, match=r"^spnet: the loss of the last epoch is .*the training diverged; lower baseline.spnet.lr$"
    ):
        run(tmp_path, monkeypatch, "spnet", spnet={"lr": 1e3, "calibrated": False}, epochs=1)
