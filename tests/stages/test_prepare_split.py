import os
import pathlib
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import yaml

from stages import convert_labels, prepare_split
from tests.support import voc_tree
from zeroshot.base import command_line
from zeroshot.datasets import splits
from zeroshot.images import image_files

ROOT = pathlib.Path(__file__).parents[2]
PATHS = {
    "--labels-dir": "data/labels",
    "--split-path": "data/split.json",
    "--training-path": "data/training.json",
    "--images-path": "data/images.json",
    "--train-masks-dir": "data/masks/train",
    "--unlabelled-masks-dir": "data/masks/unlabelled",
    "--val-masks-dir": "data/masks/val",
    "--counts-path": "metrics/split.csv",
}


def run(folder, monkeypatch, workers=0, root="data/toy", **changes):
    monkeypatch.chdir(folder)
    runtime = {"device": "auto", "threads": 1, "ranks": 1, "workers": workers, "scratch": "scratch"}
    document = {"data": {**voc_tree.section(), **changes}, "runtime": runtime}
    pathlib.Path("params.yaml").write_text(yaml.safe_dump(document))
    command_line.run(prepare_split.main, ["--data-root", str(root), *(word for pair in PATHS.items() for word in pair)])


def convert(folder, monkeypatch, labels):
    monkeypatch.chdir(folder)
    runtime = {"device": "auto", "threads": 1, "ranks": 1, "workers": 0, "scratch": "scratch"}
    pathlib.Path("params.yaml").write_text(yaml.safe_dump({"labels": labels, "runtime": runtime}))
    command_line.run(convert_labels.main, ["--data-root", "data/toy", "--labels-dir", "data/labels"])


def content(folder):
    outs = [*(folder / "data/masks").rglob("*.png"), *(folder / "data").glob("*.json"), folder / "metrics/split.csv"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(outs)}


def mask(folder, name):
    return image_files.read_mask(folder / f"data/masks/{name}.png")


def test_writes_the_split_and_masks_with_the_allowed_labels(tmp_path, monkeypatch, capsys):
    voc_tree.make(tmp_path / "data/toy")
    run(tmp_path, monkeypatch)
    assert capsys.readouterr().out == "train: 2 images, unlabelled: 2 images, val: 1 images\n"
    split = splits.read("data/split.json")
    assert split.train == (splits.Item("a", "JPEGImages/a.png"), splits.Item("b", "JPEGImages/b.png"))
    assert sorted(content(tmp_path)) == [
        "data/images.json",
        "data/masks/train/a.png",
        "data/masks/train/b.png",
        "data/masks/unlabelled/c.png",
        "data/masks/unlabelled/d.png",
        "data/masks/val/v.png",
        "data/split.json",
        "data/training.json",
        "metrics/split.csv",
    ]
    for name, columns in {"train/a": voc_tree.TRAIN["a"], "val/v": voc_tree.VAL["v"]}.items():
        np.testing.assert_array_equal(mask(tmp_path, name), voc_tree.mask(columns))


def test_excluded_pixels_are_ignored_in_training_masks_only(tmp_path, monkeypatch):
    voc_tree.make(tmp_path / "data/toy")
    run(tmp_path, monkeypatch, exclude="pixels")
    np.testing.assert_array_equal(mask(tmp_path, "train/c"), voc_tree.mask((0, 65535, 65535, 65535, 2, 2, 0, 65535)))
    np.testing.assert_array_equal(mask(tmp_path, "unlabelled/c"), voc_tree.mask(voc_tree.TRAIN["c"]))
    assert not any((image_files.read_mask(path) == 1).any() for path in (tmp_path / "data/masks/train").iterdir())


@pytest.mark.parametrize(("exclude", "trains"), [("images", "a"), ("pixels", "abc")])
def test_train_unseen_classes_are_in_the_masks_but_not_in_the_part_for_the_network(
    tmp_path, monkeypatch, capsys, exclude, trains
):
    voc_tree.make(tmp_path / "data/toy")
    run(tmp_path, monkeypatch, exclude=exclude)
    without = content(tmp_path)
    capsys.readouterr()
    run(tmp_path, monkeypatch, exclude=exclude, train_unseen=["sheep"])
    changed = {name for name, written in content(tmp_path).items() if written != without[name]}
    assert changed == {"data/split.json", "data/training.json", "metrics/split.csv"}
    part = splits.read_training("data/training.json")
    assert ("".join(item.id for item in part.train), part.seen, part.names) == (trains, (0, 2), ("background", "dog"))
    assert part.sha256.keys() == {item.image for item in part.train}
    np.testing.assert_array_equal(mask(tmp_path, "train/b"), voc_tree.mask(voc_tree.TRAIN["b"]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "classes: 2 train_seen, 1 train_unseen (sheep), 1 unseen"
    assert lines[1].startswith(f"stage one (for the network): {len(trains)} images, train: ")


def test_masks_of_8_and_of_16_bits_give_the_same_outputs(tmp_path, monkeypatch):
    results = []
    for bits in (8, 16):
        root = voc_tree.make(tmp_path / f"{bits}/data/toy")
        for id, columns in {**voc_tree.TRAIN, **voc_tree.VAL}.items():
            labels = voc_tree.mask(columns)
            stored = labels if bits == 16 else np.where(labels == 65535, 255, labels).astype(np.uint8)
            PIL.Image.fromarray(stored).save(root / f"SegmentationClass/{id}.png")
        run(tmp_path / str(bits), monkeypatch)
        results.append(content(tmp_path / str(bits)))
    assert results[0] == results[1]


def test_255_of_a_16_bit_mask_is_not_ignored(tmp_path, monkeypatch):
    root = voc_tree.make(tmp_path / "data/toy")
    PIL.Image.fromarray(np.full((6, 8), 255, np.uint16)).save(root / "SegmentationClass/a.png")
    with pytest.raises(SystemExit, match=r"255 in an 8-bit mask, 65535 in a 16-bit mask\) \(1\):\n    .*/a.png: 255"):
        run(tmp_path, monkeypatch)


def test_outputs_are_byte_identical_for_any_workers_folder_and_rerun(tmp_path, monkeypatch):
    results = []
    for folder, workers, root in (("one", 0, "data/toy"), ("two", 3, tmp_path / "two/data/toy")):
        voc_tree.make(tmp_path / folder / "data/toy")
        for _ in range(2):
            run(tmp_path / folder, monkeypatch, workers, root)
            results.append(content(tmp_path / folder))
    assert all(result == results[0] for result in results)


def test_masks_of_an_earlier_split_are_removed(tmp_path, monkeypatch):
    voc_tree.make(tmp_path / "data/toy")
    run(tmp_path, monkeypatch, unseen=[])
    assert (tmp_path / "data/masks/train/c.png").exists()
    run(tmp_path, monkeypatch)
    assert not (tmp_path / "data/masks/train/c.png").exists()


def test_a_class_that_is_only_a_name_leaves_all_that_the_network_reads_as_it_is(tmp_path, monkeypatch):
    voc_tree.make(tmp_path / "data/toy")
    run(tmp_path, monkeypatch, unseen=["cow"])
    before = content(tmp_path)
    voc_tree.add_list(tmp_path / "data/toy/classes.txt", [*voc_tree.CLASSES, "okapi"])
    run(tmp_path, monkeypatch, unseen=["cow", "okapi"])
    changed = {name for name, written in content(tmp_path).items() if written != before[name]}
    assert changed == {"data/split.json", "metrics/split.csv"} and splits.read("data/split.json").unseen == (1, 4)


def test_another_image_changes_the_checksum_that_the_network_depends_on(tmp_path, monkeypatch):
    voc_tree.make(tmp_path / "data/toy")
    run(tmp_path, monkeypatch)
    before = content(tmp_path)
    for name, part in {"a": "data/training.json", "v": "data/images.json"}.items():
        voc_tree.add_image(tmp_path / f"data/toy/JPEGImages/{name}.png", seed=99)
        run(tmp_path, monkeypatch)
        assert content(tmp_path)[part] != before[part]
    assert splits.read_training("data/training.json").side == 8
    assert splits.read_training("data/training.json").sha256.keys() == {"JPEGImages/a.png", "JPEGImages/b.png"}


def test_vocs_names_and_sbd(tmp_path, monkeypatch):
    """The masks are converted from SBD and have all twenty classes; K=2 excludes the images with cow (10) and motorbike (14)."""
    voc_tree.make(tmp_path / "data/toy")
    blocks = {f"s{label:02d}": (0, 0, 0, 0, label, label, label, label) for label in range(1, 21)}
    voc_tree.add_sbd(tmp_path / "data/toy", blocks)
    convert(tmp_path, monkeypatch, voc_tree.labels(format="sbd", folder="benchmark_RELEASE/dataset/cls"))
    run(tmp_path, monkeypatch, sbd="benchmark_RELEASE/dataset", classes="voc", n_unseen=2, unseen=None)
    split = splits.read("data/split.json")
    assert [item.id for item in split.unlabelled] == ["s10", "s14"]
    assert len(split.train) == 4 + 18 and split.unseen == (10, 14)
    assert split.train[4] == splits.Item("s01", "benchmark_RELEASE/dataset/img/s01.jpg")
    np.testing.assert_array_equal(mask(tmp_path, "train/s20"), voc_tree.mask(blocks["s20"]))


def test_images_with_unseen_classes_need_no_masks(tmp_path, monkeypatch):
    """Moved to the list of unlabelled images, without their masks, they give the same split and training masks."""
    for name in ("with", "without"):
        voc_tree.make(tmp_path / name / "data/toy")
    run(tmp_path / "with", monkeypatch)
    root = tmp_path / "without/data/toy"
    voc_tree.add_list(root / "ImageSets/Segmentation/train.txt", ["a", "b"])
    voc_tree.add_list(root / "unlabelled.txt", ["c", "d"])
    for id in "cd":
        (root / f"SegmentationClass/{id}.png").unlink()
    run(tmp_path / "without", monkeypatch, unlabelled_list="unlabelled.txt")
    first, second = content(tmp_path / "with"), content(tmp_path / "without")
    differing = {path for path in first.keys() | second.keys() if first.get(path) != second.get(path)}
    assert differing == {"data/masks/unlabelled/c.png", "data/masks/unlabelled/d.png", "metrics/split.csv"}
    assert (mask(tmp_path / "without", "unlabelled/c") == 65535).all()


@pytest.mark.parametrize(("unseen", "is_said"), [(["sheep"], True), ([], False)])
def test_a_split_without_unlabelled_images_is_said(tmp_path, monkeypatch, capsys, unseen, is_said):
    root = voc_tree.make(tmp_path / "data/toy")
    voc_tree.add_list(root / "ImageSets/Segmentation/train.txt", ["a", "c"])
    image_files.write_mask(root / "SegmentationClass/c.png", voc_tree.mask((0, 1, 1, 1, 1, 1, 3 * (not unseen), 1)))
    voc_tree.add_list(root / "classes.txt", list(voc_tree.CLASSES) if unseen else ["background", "cow", "dog", "tree"])
    run(tmp_path, monkeypatch, unseen=unseen)
    assert ("list images without masks in data.unlabelled_list" in capsys.readouterr().out) == is_said


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ((0, 1, 3, 2, 2, 0, 0, 0), None),
        ((0, 3, 3, 2, 2, 0, 0, 0), "cow"),
        ((0, 0, 2, 2, 2, 0, 65535, 65535), "cow, sheep"),
    ],
)
def test_unseen_classes_without_evaluation_pixels_are_said(tmp_path, monkeypatch, capsys, columns, names):
    root = voc_tree.make(tmp_path / "data/toy")
    image_files.write_mask(root / "SegmentationClass/v.png", voc_tree.mask(columns))
    run(tmp_path, monkeypatch, unseen=["cow", "sheep"], exclude="pixels")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + (names is not None)
    if names:
        assert lines[1].startswith("no evaluation image shows these unseen classes, so their IoU will be missing")
        assert lines[1].endswith(f"others: {names}; add images that show them to data.val_list")


def test_a_split_without_unseen_classes_lacks_none(tmp_path, monkeypatch, capsys):
    voc_tree.make(tmp_path / "data/toy")
    run(tmp_path, monkeypatch, unseen=[])
    assert len(capsys.readouterr().out.splitlines()) == 1


def run_with_plain_locale(folder, **changes):
    """Run the stage in a process whose file names and output are ASCII; return its status and its output."""
    runtime = {"device": "auto", "threads": 1, "ranks": 1, "workers": 0, "scratch": "scratch"}
    document = {"data": {**voc_tree.section(), **changes}, "runtime": runtime}
    (folder / "params.yaml").write_text(yaml.safe_dump(document))
    flags = ["--data-root", "data/toy", *(word for pair in PATHS.items() for word in pair)]
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-m", "stages.prepare_split", *flags],
        cwd=folder, env={**os.environ, **locale}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return process.returncode, process.stdout + process.stderr


def test_a_locale_that_is_not_utf8_is_named_if_it_matters(tmp_path):
    """Ids with other letters, a list with such a name, and a class name that is printed."""
    root = voc_tree.make(tmp_path / "data/toy")
    assert run_with_plain_locale(tmp_path)[0] == 0
    voc_tree.add_list(root / "classes.txt", ["background", "Kühe", "dog", "sheep"])
    image_files.write_mask(root / "SegmentationClass/v.png", voc_tree.mask((0,) * 8))
    for folder in ("JPEGImages", "SegmentationClass"):
        (root / folder / "a.png").rename(root / folder / "Kühe.png")
    lists = root / "ImageSets/Segmentation"
    lists.joinpath("train.txt").write_text("Kühe\nb\nc\nd\n", encoding="utf-8")
    lists.joinpath("prüfung.txt").write_text("v\n")
    status, text = run_with_plain_locale(tmp_path, unseen=["Kühe"], val_list="ImageSets/Segmentation/prüfung.txt")
    assert status == 1 and "Traceback" not in text and ": 2 faults\n" in text
    assert "id that cannot be looked up: file names are in the encoding ascii here" in text
    assert "    ImageSets/Segmentation/train.txt: `K\\xfche` on line 1" in text
    assert "unreadable list (1):\n    ImageSets/Segmentation/pr\\xfcfung.txt: " in text
    assert text.count("set a UTF-8 locale (`export LC_ALL=C.UTF-8`") == 2
    for folder in ("JPEGImages", "SegmentationClass"):
        (root / folder / "Kühe.png").rename(root / folder / "a.png")
    voc_tree.add_list(lists / "train.txt", list("abcd"))
    status, text = run_with_plain_locale(tmp_path, unseen=["Kühe"])
    assert status == 1 and "Traceback" not in text
    assert "K\\xfche; add images" in text and "in the encoding ascii; set a UTF-8 locale" in text


def test_all_errors_of_a_dataset_are_in_one_message_and_nothing_is_written(tmp_path, monkeypatch):
    root = voc_tree.make(tmp_path / "data/toy")
    (root / "JPEGImages/a.png").unlink()
    (root / "SegmentationClass/b.png").write_text("no mask")
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, monkeypatch, unseen=["cows"])
    text = str(caught.value)
    assert text.startswith("data/toy: 3 faults\n")
    for kind in ("no image", "unusable mask", "unseen class is not in the class list"):
        assert kind in text
    assert not (tmp_path / "data/masks").exists() and not (tmp_path / "data/split.json").exists()


def test_invalid_parameters_give_a_message(tmp_path, monkeypatch):
    voc_tree.make(tmp_path / "data/toy")
    with pytest.raises(SystemExit, match="data.exclude: Input should be 'images' or 'pixels'"):
        run(tmp_path, monkeypatch, exclude="image")
