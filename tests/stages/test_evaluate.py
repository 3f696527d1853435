import dataclasses
import functools
import json
import tracemalloc

import numpy as np
import pandas
import pytest
import torch

from tests.support import pixel_world, quick_sections, stage_files
from zeroshot.cache import index, maps
from zeroshot.datasets import splits
from zeroshot.evaluation import image_confusions, metrics, protocols, results_table
from zeroshot.pixel_classifiers import labelling, pixel_classifier


def write(folder, seen_bias=1.0, n_maps=3, side=5):
    """Write a val cache and a classifier of all classes in place of the trained one."""
    pixel_world.write_inputs(folder, n_maps=n_maps)
    pixel_world.write_maps(folder / "features/val", n_maps, side)
    everything = pixel_world.start(tuple(range(len(pixel_world.CLASSES))))
    unseen = torch.isin(everything.labels, torch.tensor(pixel_world.UNSEEN))
    model = pixel_classifier.PixelClassifier(everything.weight, everything.bias, everything.labels, unseen, seen_bias)
    pixel_classifier.save(folder / "models/classifiers/zs3net.pt", model)
    return model


def expected_confusion(folder, model):
    """Return the confusion matrix, computed with functions of the library that have separate tests."""
    total = 0
    for item in maps.read(folder / "features/val"):
        predicted = labelling.predict_maps(model, item.features, item.mask.shape, stride=4)["generalised"]
        total = total + metrics.confusion(item.mask, predicted, len(pixel_world.CLASSES))
    return total


def test_writes_metrics_and_tables(tmp_path, monkeypatch):
    model = write(tmp_path)
    stage_files.run(tmp_path, monkeypatch, "evaluate")
    text = (tmp_path / "metrics/zs3net.json").read_text()
    assert "NaN" not in text
    values = json.loads(text)
    matrix = expected_confusion(tmp_path, model)
    bounds = [values["generalised"].pop(name) for name in ("hIoU_low", "hIoU_high")]
    assert values["generalised"] == metrics.summarise(matrix, pixel_world.SEEN, pixel_world.UNSEEN)
    assert bounds[0] < values["generalised"]["hIoU"] < bounds[1]
    by_image = image_confusions.read("metrics/zs3net_images.h5")
    np.testing.assert_array_equal(by_image.total("generalised"), matrix)
    assert by_image.images == tuple(item.image for item in maps.read("features/val"))
    assert values["without_bias"]["hIoU"] != values["generalised"]["hIoU"]
    assert values["seen_bias"] == 1.0 and values["exclude"] == "images" and values["images"] == 3
    assert values["pretraining"] == "none"
    assert values["evaluation"] == {"short_side": None, "absent_classes": "skip", "image_short_side": None}
    # With only the two unseen classes, the nearest mean is nearly always correct.
    assert values["vanilla"]["mIoU"] > values["generalised"]["unseen"]["mIoU"] + 5
    assert set(values["vanilla"]) == {"PA", "MA", "mIoU", "fwIoU"}

    classes = pandas.read_csv("metrics/zs3net_classes.csv")
    assert classes["class"].tolist() == list(pixel_world.CLASSES)
    assert classes.loc[classes["role"] == "unseen", "class"].tolist() == [
        pixel_world.CLASSES[label] for label in pixel_world.UNSEEN
    ]
    np.testing.assert_array_equal(classes["pixels"], matrix.sum(1))
    confusion = pandas.read_csv("metrics/zs3net_confusion.csv")
    shares = confusion.pivot(index="truth", columns="prediction", values="share").loc[
        list(pixel_world.CLASSES), list(pixel_world.CLASSES)
    ]
    np.testing.assert_allclose(shares.to_numpy(), 100 * matrix / matrix.sum(1, keepdims=True), atol=1e-4)


@pytest.mark.parametrize("context", [None, "near", "true_masks"])
def test_metrics_record_the_source_of_the_graph_context(tmp_path, monkeypatch, context):
    model = write(tmp_path)
    pixel_classifier.save(
        tmp_path / "models/classifiers/zs3net.pt", model, **({"graph_context": context} if context else {})
    )
    stage_files.run(tmp_path, monkeypatch, "evaluate")
    assert json.loads((tmp_path / "metrics/zs3net.json").read_text()).get("graph_context") == context


@pytest.mark.parametrize("facts", [{}, {"no_pseudo_labels": True}])
def test_metrics_record_that_self_training_had_no_pseudo_labels(tmp_path, monkeypatch, facts):
    pixel_classifier.save(tmp_path / "models/classifiers/zs3net.pt", write(tmp_path), **facts)
    stage_files.run(tmp_path, monkeypatch, "evaluate")
    values = json.loads((tmp_path / "metrics/zs3net.json").read_text())
    assert {name: value for name, value in values.items() if name == "no_pseudo_labels"} == facts


@pytest.mark.parametrize("window", [1, 5])
def test_a_side_window_is_recorded_and_used(tmp_path, monkeypatch, window):
    model = dataclasses.replace(write(tmp_path), side_window=window)
    pixel_classifier.save(tmp_path / "models/classifiers/zs3net.pt", model)
    stage_files.run(tmp_path, monkeypatch, "evaluate")
    values = json.loads((tmp_path / "metrics/zs3net.json").read_text())
    assert values.get("side_window", 1) == window
    by_image = image_confusions.read(tmp_path / "metrics/zs3net_images.h5")
    np.testing.assert_array_equal(by_image.total("generalised"), expected_confusion(tmp_path, model))


def test_the_metrics_give_the_table_on_the_terminal(tmp_path, monkeypatch):
    write(tmp_path)
    stage_files.run(tmp_path, monkeypatch, "evaluate")
    values = json.loads((tmp_path / "metrics/zs3net.json").read_text())
    last = results_table.table("metrics").splitlines()[-2]
    assert last.startswith("zs3net, bias 1 ") and f"{values['generalised']['hIoU']:8.1f}" in last
    assert last.endswith(f"{values['vanilla']['mIoU']:7.1f}")


def test_outputs_are_byte_identical_in_different_folders(tmp_path, monkeypatch):
    written = []
    for name in ("one", "two"):
        write(tmp_path / name)
        for _ in range(2):
            stage_files.run(tmp_path / name, monkeypatch, "evaluate")
            written.append(stage_files.content(tmp_path / name, "evaluate"))
    assert all(one == written[0] for one in written)


def test_a_model_of_seen_classes_only_is_scored_on_all(tmp_path, monkeypatch):
    write(tmp_path)
    pixel_classifier.save(tmp_path / "models/classifiers/zs3net.pt", pixel_world.start())
    stage_files.run(tmp_path, monkeypatch, "evaluate")
    values = json.loads((tmp_path / "metrics/zs3net.json").read_text())
    assert values["generalised"] == values["without_bias"]
    assert values["generalised"]["unseen"] == dict.fromkeys(("PA", "MA", "mIoU", "fwIoU"), 0.0)
    assert values["generalised"]["hIoU"] == 0.0 < values["generalised"]["seen"]["mIoU"]
    assert values["vanilla"] is None


def test_without_unseen_classes_there_is_no_vanilla_protocol(tmp_path, monkeypatch):
    model = write(tmp_path)
    splits.write(tmp_path / "data/split.json", pixel_world.split(unseen=()))
    supervised = dataclasses.replace(model, unseen=torch.zeros_like(model.unseen))
    pixel_classifier.save(tmp_path / "models/classifiers/zs3net.pt", supervised)
    stage_files.run(tmp_path, monkeypatch, "evaluate")
    values = json.loads((tmp_path / "metrics/zs3net.json").read_text())
    assert values["vanilla"] is None and values["generalised"]["hIoU"] is None


def test_a_classifier_of_another_run_is_named_and_nothing_is_written(tmp_path, monkeypatch):
    model = write(tmp_path)
    narrow = dataclasses.replace(model, weight=model.weight[:, :5].contiguous())
    pixel_classifier.save(tmp_path / "models/classifiers/zs3net.pt", narrow)
    with pytest.raises(
        SystemExit,
        match=r"^models/classifiers/zs3net\.pt: is a classifier of another run: .* length 5, .* have 8; `dvc",
    ):
        stage_files.run(tmp_path, monkeypatch, "evaluate")
    assert not (tmp_path / "metrics").exists()


def test_without_a_pixel_of_an_unseen_class_hiou_and_its_interval_are_missing(tmp_path, monkeypatch):
    write(tmp_path)
    read = maps.read

    def seen_only(folder):
        for item in read(folder):
            item.mask[np.isin(item.mask, pixel_world.UNSEEN)] = pixel_world.SEEN[0]
            yield item

    monkeypatch.setattr(maps, "read", seen_only)
    stage_files.run(tmp_path, monkeypatch, "evaluate")
    values = json.loads((tmp_path / "metrics/zs3net.json").read_text())
    for name in ("generalised", "without_bias"):
        assert values[name]["seen"]["mIoU"] > 0
        assert {key: values[name][key] for key in ("hIoU", "hIoU_low", "hIoU_high")} == dict.fromkeys(
            ("hIoU", "hIoU_low", "hIoU_high")
        )
    assert "[" not in results_table.table("metrics")


def test_the_protocol_follows_the_parameters_and_is_recorded(tmp_path, monkeypatch):
    model = write(tmp_path)
    stage_files.run(tmp_path, monkeypatch, "evaluate", evaluation={"short_side": 40, "absent_classes": "zero"})
    values = json.loads((tmp_path / "metrics/zs3net.json").read_text())
    assert values["evaluation"] == {"short_side": 40, "absent_classes": "zero", "image_short_side": None}
    predict = functools.partial(labelling.predict_maps, model, stride=4)
    matrix = protocols.confusions(predict, maps.read("features/val"), pixel_world.split(), 40).total("generalised")
    summary = {name: value for name, value in values["generalised"].items() if name not in ("hIoU_low", "hIoU_high")}
    assert summary == metrics.summarise(matrix, pixel_world.SEEN, pixel_world.UNSEEN, "zero")
    assert summary != metrics.summarise(expected_confusion(tmp_path, model), pixel_world.SEEN, pixel_world.UNSEEN)


def test_the_last_stages_together_predict_unseen_classes(tmp_path, monkeypatch):
    pixel_world.write_inputs(tmp_path)
    calibration = quick_sections.classifier_section()["calibration"] | {"folds": 1}
    stage_files.run(
        tmp_path,
        monkeypatch,
        *("train_gmmn", "finetune_classifier", "evaluate"),
        classifier=quick_sections.classifier_section(calibration=calibration),
    )
    # The bias is not used here: it is chosen on single pixels, but in these maps every other pixel is between cells of two classes.
    values = json.loads((tmp_path / "metrics/zs3net.json").read_text())["without_bias"]
    assert values["unseen"]["mIoU"] > 15 and values["hIoU"] > 20


def test_peak_memory_is_that_of_one_image(tmp_path, monkeypatch):
    peaks = {}
    for n_maps in (1, 1, 8):
        write(tmp_path / str(n_maps), n_maps=n_maps, side=50)
        tracemalloc.start()
        try:
            stage_files.run(tmp_path / str(n_maps), monkeypatch, "evaluate")
            peaks[n_maps] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peaks[8] < 1.25 * peaks[1]


def test_a_truncated_map_is_named(tmp_path, monkeypatch):
    write(tmp_path)
    path = tmp_path / "features/val/shard-00002.h5"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises((index.ShardError, SystemExit), match=r"shard-00002\.h5: \d+, should be \d+ bytes"):
        stage_files.run(tmp_path, monkeypatch, "evaluate")
    assert not (tmp_path / "metrics").exists()
