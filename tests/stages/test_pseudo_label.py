"""The stages pseudo_label and report_pseudo_labels."""

import dataclasses
import errno
import shutil
import types

import numpy as np
import pandas
import pytest
import torch

from tests.support import pixel_world, quick_sections, stage_files, unlabelled_world
from zeroshot.cache import describe, index, pools, rows
from zeroshot.datasets import splits
from zeroshot.images import image_files
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.zs3net.pseudo_labels import pseudo_cache, selection


def zs3net():
    """A classifier of all classes that is accurate enough for pseudo-labels."""
    model = pixel_world.start(tuple(range(len(pixel_world.CLASSES))))
    unseen = torch.isin(model.labels, torch.tensor(pixel_world.UNSEEN))
    return dataclasses.replace(model, unseen=unseen, seen_bias=0.5)


@pytest.fixture
def world(tmp_path):
    """A folder with all inputs of the two stages, and the rows of the unscaled view with their true labels."""
    pixel_world.write_inputs(tmp_path)
    truth = unlabelled_world.write(tmp_path)
    pixel_classifier.save(tmp_path / "models/classifiers/zs3net.pt", zs3net(), classes=list(pixel_world.CLASSES))
    pseudo_cache.write_later_rounds(tmp_path / "features/later_rounds.h5", [])
    return tmp_path, truth


def run(folder, monkeypatch, *names, **changes):
    section = quick_sections.pseudo_labels_section(**changes)
    stage_files.run(folder, monkeypatch, *(names or ("pseudo_label",)), pseudo_labels=section)


def joined(folder):
    tables = list(rows.read(folder))
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


@pytest.mark.parametrize("rule", ["per_image", "per_dataset"])
def test_rules_select_from_all_shards_together(world, monkeypatch, rule):
    folder, truth = world
    run(folder, monkeypatch, rule=rule, p=40.0)
    pseudo = joined("features/pseudo")
    expected = selection.select(zs3net(), truth, quick_sections.pseudo_labels_options(rule=rule, p=40.0))
    key = [(*row, label) for *row, label in zip(pseudo["image"], *pseudo["position"].T, pseudo["label"], strict=True)]
    expected_keys = zip(expected["image"], *expected["position"].T, expected["label"], strict=True)
    assert sorted(key) == sorted(expected_keys) and len(key) > 10
    assert set(pseudo["label"].tolist()) == set(pixel_world.UNSEEN)
    order = np.lexsort([*pseudo["position"].T, pseudo["image"]])
    again = np.lexsort([*expected["position"].T, expected["image"]])
    np.testing.assert_array_equal(pseudo["features"][order], expected["features"][again])


def test_the_cache_has_provenance_and_can_be_described(world, monkeypatch):
    folder, _ = world
    run(folder, monkeypatch, p=30.0)
    assert pseudo_cache.options_of(folder / "features/pseudo") == quick_sections.pseudo_labels_options(p=30.0)
    described = index.read("features/pseudo", "rows")
    assert described.images == index.read("features/unlabelled", "rows").images
    assert "classifier_sha256" in described.provenance
    assert pixel_world.CLASSES[pixel_world.UNSEEN[0]] in describe.describe("features/pseudo")


def test_counts_are_per_cent_of_the_cells(world, monkeypatch):
    folder, truth = world
    run(folder, monkeypatch, p=100.0)
    table = pandas.read_csv("metrics/pseudo_counts.csv").set_index("class")
    labels, confidences = selection.predict(zs3net(), truth["features"])
    for label, name in enumerate(pixel_world.CLASSES):
        predicted = labels == label
        selected = predicted if label in pixel_world.UNSEEN else predicted & False
        assert table.loc[name, "role"] == ("unseen" if label in pixel_world.UNSEEN else "seen")
        assert table.loc[name, "predicted"] == pytest.approx(100 * predicted.mean(), abs=1e-3)
        assert table.loc[name, "kept"] == pytest.approx(100 * selected.mean(), abs=1e-3)
        assert table.loc[name, "images"] == len(set(truth["image"][selected].tolist()))
        if selected.any():
            assert table.loc[name, "confidence"] == pytest.approx(confidences[selected].mean(), abs=1e-3)


def test_a_second_run_gives_the_same_bytes_and_removes_old_files(world, monkeypatch):
    folder, _ = world
    run(folder, monkeypatch, p=50.0)
    first = stage_files.content(folder, "pseudo_label")
    run(folder, monkeypatch, p=100.0, classes="all")
    assert stage_files.content(folder, "pseudo_label") != first
    run(folder, monkeypatch, p=50.0)
    assert stage_files.content(folder, "pseudo_label") == first


def test_the_report_has_precision_and_coverage_by_the_true_masks(world, monkeypatch):
    folder, truth = world
    path = folder / "data/masks/unlabelled/image0.png"
    mask = image_files.read_mask(path)
    mask[:, :8] = 65535
    image_files.write_mask(path, mask)
    run(folder, monkeypatch, "pseudo_label", "report_pseudo_labels", p=50.0)
    table = pandas.read_csv("metrics/pseudo_labels.csv").set_index("class")
    valid = (truth["image"] != 0) | (truth["position"][:, 1] >= 2)
    chosen = selection.select(zs3net(), truth, quick_sections.pseudo_labels_options(p=50.0))
    label_at = dict(zip(zip(truth["image"], *truth["position"].T, strict=True), truth["label"], strict=True))
    hits = {label: [0, 0] for label in pixel_world.UNSEEN}
    for image, y, x, label in zip(chosen["image"], *chosen["position"].T, chosen["label"], strict=True):
        if image != 0 or x >= 2:
            hits[label][0] += label_at[image, y, x] == label
            hits[label][1] += 1
    for label, (right, given) in hits.items():
        row = table.loc[pixel_world.CLASSES[label]]
        assert row["pixels"] == (chosen["label"] == label).sum()
        assert row["precision"] == pytest.approx(100 * right / given)
        assert row["coverage"] == pytest.approx(100 * right / (truth["label"][valid] == label).sum())
    assert set(table.index) == {"all", *(pixel_world.CLASSES[label] for label in pixel_world.UNSEEN)}
    assert table.loc["all", "precision"] == pytest.approx(
        100 * sum(right for right, _ in hits.values()) / sum(given for _, given in hits.values())
    )


def test_agreement_compares_the_views(world, monkeypatch):
    """In this cache the second view agrees with the first only by chance; that is enough for this test."""
    folder, _ = world
    run(folder, monkeypatch, rule="agreement", classes="all")
    labels, _ = selection.predict(zs3net(), joined("features/unlabelled")["features"])
    second = labels[joined("features/unlabelled")["view"] == 1]
    assert set(joined("features/pseudo")["label"].tolist()) == set(second.tolist())


def test_without_unlabelled_images_or_unseen_classes_caches_and_tables_are_empty(world, monkeypatch, capsys):
    folder, _ = world
    shutil.rmtree(folder / "features/unlabelled")
    unlabelled_world.write(folder, n_images=0)
    run(folder, monkeypatch, "pseudo_label", "report_pseudo_labels")
    assert capsys.readouterr().out == (
        "pseudo_label: no pseudo-labels, since there is no unlabelled image; the row of ZS5Net will be no result of self-training\n"
        "report_pseudo_labels: no pseudo-labels to compare, since there is no unlabelled image\n"
    )
    assert index.read("features/pseudo", "rows").shards == []
    assert pseudo_cache.pool(folder / "features/pseudo", 10, 0).labels.tolist() == []
    assert pools.empty(pixel_world.DIM).features.shape == (0, pixel_world.DIM)
    table = pandas.read_csv("metrics/pseudo_labels.csv")
    assert table["precision"].isna().all() and table["pixels"].tolist() == [0, 0, 0]
    assert (pandas.read_csv("metrics/pseudo_counts.csv")["kept"] == 0).all()
    later = pandas.read_csv("metrics/pseudo_labels_later.csv")
    assert later.empty and list(later) == ["round", *table.columns]


@pytest.mark.parametrize(
    ("unseen", "reason"), [(pixel_world.UNSEEN, "the rule selected no pixel"), ((), "there is no unseen class")]
)
def test_a_run_without_pseudo_labels_says_why(world, monkeypatch, capsys, unseen, reason):
    folder, _ = world
    splits.write(folder / "data/split.json", pixel_world.split(unseen=unseen))
    model = zs3net()
    model = dataclasses.replace(model, unseen=torch.isin(model.labels, torch.tensor(unseen, dtype=torch.int64)))
    pixel_classifier.save(folder / "models/classifiers/zs3net.pt", model)
    run(folder, monkeypatch, min_confidence=1.0)
    assert f"no pseudo-labels, since {reason};" in capsys.readouterr().out


def test_images_without_a_mask_are_left_out_of_the_report_which_says_so(world, monkeypatch, capsys):
    """The report of all images, one without a mask, has the same precision and coverage as that of the other images alone."""
    folder, truth = world
    run(folder, monkeypatch, "pseudo_label", "report_pseudo_labels", p=50.0)
    assert capsys.readouterr().out == ""
    path = folder / "data/masks/unlabelled/image0.png"
    image_files.write_mask(path, np.full_like(image_files.read_mask(path), 65535))
    run(folder, monkeypatch, "report_pseudo_labels")
    assert capsys.readouterr().out == (
        "report_pseudo_labels: 1 of 12 unlabelled images have no mask and are left out of precision and coverage\n"
    )
    table = pandas.read_csv("metrics/pseudo_labels.csv").set_index("class")
    pseudo, others = joined("features/pseudo"), truth["image"] != 0
    label_at = dict(zip(zip(truth["image"], *truth["position"].T, strict=True), truth["label"], strict=True))
    for label in pixel_world.UNSEEN:
        chosen = (pseudo["label"] == label) & (pseudo["image"] != 0)
        places = zip(pseudo["image"][chosen], *pseudo["position"][chosen].T, strict=True)
        right = sum(label_at[place] == label for place in places)
        row = table.loc[pixel_world.CLASSES[label]]
        assert row["precision"] == pytest.approx(100 * right / chosen.sum())
        assert row["coverage"] == pytest.approx(100 * right / (truth["label"][others] == label).sum())


def test_a_missing_cache_ends_with_a_message(world, monkeypatch):
    folder, _ = world
    shutil.rmtree(folder / "features/unlabelled")
    with pytest.raises(SystemExit) as caught:
        run(folder, monkeypatch)
    assert "features/unlabelled" in str(caught.value) and "dump_features" in str(caught.value)


@pytest.mark.parametrize("where", ["before", "while"])
def test_on_a_full_disk_the_stage_names_the_folder_and_keeps_the_old_cache(world, monkeypatch, where):
    folder, _ = world
    run(folder, monkeypatch)
    before = stage_files.content(folder, "pseudo_label")
    if where == "before":
        monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=0))
        expected = (
            r"^pseudo-labelled features: \d+ MiB to write, 0 MiB free in features/pseudo; .* or lower pseudo_labels.p$"
        )
    else:

        def fail(path, table):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(rows, "write", fail)
        expected = "^features/pseudo: cannot be written, because the disk is full or .* free some disk space"
    with pytest.raises(SystemExit, match=expected):
        run(folder, monkeypatch, p=50.0)
    assert stage_files.content(folder, "pseudo_label") == before
    assert not list((folder / "features").glob(".*"))
