"""The stage convert_labels, and Pascal-Context in its published layout up to prepare_split."""

import os
import pathlib
import time

import numpy as np
import PIL.Image
import pytest
import scipy.io
import yaml

from stages import convert_labels, prepare_split
from tests.support import context_tree, voc_tree
from zeroshot.base import command_line, errors, params
from zeroshot.datasets import conversion, published, splits
from zeroshot.images import image_files, label_ids

CLASSES = published.CONTEXT.classes


def write_params(labels, workers=0, **sections):
    runtime = {"device": "auto", "threads": 1, "ranks": 1, "workers": workers, "scratch": "scratch"}
    pathlib.Path("params.yaml").write_text(yaml.safe_dump({"labels": labels, "runtime": runtime, **sections}))


def convert(folder, monkeypatch, labels, workers=0):
    monkeypatch.chdir(folder)
    write_params(labels, workers)
    command_line.run(convert_labels.main, ["--data-root", "data/context", "--labels-dir", "data/labels"])
    return {path.stem: path.read_bytes() for path in sorted((folder / "data/labels").iterdir())}


def prepare(folder, monkeypatch, **changes):
    monkeypatch.chdir(folder)
    write_params(context_tree.labels(), data=context_tree.section(**changes))
    masks = [word for name in ("train", "unlabelled", "val") for word in (f"--{name}-masks-dir", f"data/masks/{name}")]
    parts = [word for name in ("split", "training", "images") for word in (f"--{name}-path", f"data/{name}.json")]
    rest = ["--labels-dir", "data/labels", *parts, "--counts-path", "metrics/split.csv"]
    command_line.run(prepare_split.main, ["--data-root", "data/context", *rest, *masks])
    return splits.read("data/split.json")


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("context")
    context_tree.make(folder / "data/context")
    with pytest.MonkeyPatch.context() as patch:
        return folder, convert(folder, patch, context_tree.labels())


def test_label_maps_become_masks_of_60_classes(converted):
    folder, written = converted
    shown = context_tree.SHOWN["train"] | context_tree.SHOWN["val"]
    assert set(written) == set(shown) and {name for names in shown.values() for name in names} == set(CLASSES[1:])
    for id, names in shown.items():
        expected = np.zeros((6, 8), dtype=np.uint8)
        expected[:, : len(names)] = [CLASSES.index(name) for name in names]
        np.testing.assert_array_equal(
            image_files.read_mask(folder / f"data/labels/{id}.png"), context_tree.enlarged(expected)
        )


@pytest.mark.parametrize("ids", ["0-59", "0-58"])
@pytest.mark.parametrize("order", ["listed", "alphabetical"])
def test_png_masks_give_the_same_result_as_label_maps(converted, tmp_path, monkeypatch, ids, order):
    root = context_tree.make(tmp_path / "data/context")
    names = sorted(context_tree.IDS) if order == "alphabetical" else list(CLASSES[1:])
    context_tree.add_pngs(root, names, *{"0-59": (1, 0), "0-58": (0, 255)}[ids])
    labels = voc_tree.labels(format="context_png", folder="pngs", ids=ids, order=order)
    assert convert(tmp_path, monkeypatch, labels) == converted[1]


def test_threads_give_the_same_bytes_and_old_masks_are_removed(converted, tmp_path, monkeypatch):
    context_tree.make(tmp_path / "data/context")
    (tmp_path / "data/labels").mkdir()
    (tmp_path / "data/labels/stale.png").write_text("of an earlier conversion")
    assert convert(tmp_path, monkeypatch, context_tree.labels(), workers=3) == converted[1]


def test_files_are_read_by_several_threads_at_once(converted, tmp_path, monkeypatch):
    """The reader sleeps, so that the overlap is visible on one core too."""
    folder, _ = converted

    def read(path):
        time.sleep(0.05)
        return np.zeros((2, 2), dtype=np.uint8), None

    paths = sorted((folder / "data/context/trainval").iterdir())[:8]
    assert len(paths) == 8
    converter = conversion.Converter(".mat", read, np.arange(256))
    start = time.monotonic()
    assert list(conversion.convert(tmp_path, paths, converter, 8, errors.Faults())) == paths
    assert time.monotonic() - start < 0.05 * len(paths)


def test_masks_of_label_ids_are_not_converted(tmp_path, monkeypatch):
    voc_tree.make(tmp_path / "data/context")
    assert convert(tmp_path, monkeypatch, voc_tree.labels()) == {}


def test_all_errors_are_in_one_message_and_nothing_is_written(tmp_path, monkeypatch):
    root = context_tree.make(tmp_path / "data/context")
    scipy.io.savemat(root / "trainval/cow.mat", {"Labels": np.zeros((6, 8), np.uint16)})
    scipy.io.savemat(root / "trainval/cat.mat", {"LabelMap": np.full((6, 8), 460, np.uint16)})
    (root / "trainval/sofa.mat").write_bytes(b"MATLAB?" * 40)
    with pytest.raises(SystemExit) as caught:
        convert(tmp_path, monkeypatch, context_tree.labels())
    text = str(caught.value)
    assert text.startswith("data/context: 3 faults\n")
    assert "unusable mask (2):\n    data/context/trainval/cow.mat: contains no variable LabelMap, only Labels" in text
    assert "data/context/trainval/sofa.mat: cannot be decoded" in text
    assert "label out of range (0 to 459) (1):\n    data/context/trainval/cat.mat: 460" in text
    assert not (tmp_path / "data/labels").exists()


def test_pngs_with_values_of_another_convention_are_refused(tmp_path, monkeypatch):
    root = context_tree.make(tmp_path / "data/context")
    context_tree.add_pngs(root, list(CLASSES[1:]), first=1, other=0)
    with pytest.raises(SystemExit, match=r"label out of range \(0 to 58, 255\) \(2\):\n    .*/pngs/seen6.png: 59"):
        convert(tmp_path, monkeypatch, voc_tree.labels(format="context_png", folder="pngs", ids="0-58"))


def coloured(root, id, colours):
    """Give the mask pngs/<id>.png a palette that has VOC's colours but for the ids in `colours`."""
    palette = label_ids.palette()[:256].copy()
    for label, colour in colours.items():
        palette[label] = label_ids.palette()[colour]
    image = PIL.Image.open(root / f"pngs/{id}.png")
    image.putpalette(palette.tobytes())
    image.save(root / f"pngs/{id}.png")


@pytest.mark.parametrize(("ids", "first", "other"), [("0-59", 1, 0), ("0-58", 0, 255)])
def test_pngs_with_permuted_colours_are_refused(tmp_path, monkeypatch, ids, first, other):
    root = context_tree.make(tmp_path / "data/context")
    context_tree.add_pngs(root, list(CLASSES[1:]), first, other)
    cow, sofa = (CLASSES.index(name) - 1 + first for name in ("cow", "sofa"))
    labels = voc_tree.labels(format="context_png", folder="pngs", ids=ids)
    # Colours of ids that a mask does not have are not compared.
    for id in ("cow", "sofa"):
        coloured(root, id, {3: 7})
    assert convert(tmp_path, monkeypatch, labels)
    coloured(root, "val", {sofa: cow, cow: sofa})
    with pytest.raises(SystemExit) as caught:
        convert(tmp_path, monkeypatch, labels, workers=2)
    text = str(caught.value)
    assert text.startswith("data/context: 1 fault\n") and "label with different colours in two masks" in text
    assert f"label {sofa}: RGB " in text and "pngs/sofa.png, " in text and text.endswith("pngs/val.png")


def test_colours_of_ignored_pixels_are_not_compared(tmp_path, monkeypatch):
    root = context_tree.make(tmp_path / "data/context")
    context_tree.add_pngs(root, list(CLASSES[1:]), first=1, other=255)
    coloured(root, "cow", {})
    coloured(root, "sofa", {255: 9})
    assert convert(tmp_path, monkeypatch, voc_tree.labels(format="context_png", folder="pngs", ids="0-59"))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("suffix", ["mat", "png"])
def test_pipes_and_devices_are_refused_and_do_not_block(tmp_path, monkeypatch, suffix, workers):
    root = context_tree.make(tmp_path / "data/context")
    if suffix == "mat":
        labels = context_tree.labels()
    else:
        context_tree.add_pngs(root, list(CLASSES[1:]), first=1, other=0)
        labels = voc_tree.labels(format="context_png", folder="pngs")
    folder = root / labels["folder"]
    os.mkfifo(folder / f"pipe.{suffix}")
    (folder / f"zero.{suffix}").symlink_to("/dev/zero")
    (folder / f"folder.{suffix}").mkdir()
    with pytest.raises(SystemExit) as caught:
        convert(tmp_path, monkeypatch, labels, workers)
    text = str(caught.value)
    assert "unusable mask (3):" in text
    for name, kind in (("pipe", "pipe or device"), ("zero", "pipe or device"), ("folder", "folder")):
        assert f"{labels['folder']}/{name}.{suffix}: is a {kind}; it must be a regular file" in text


def test_missing_masks_and_missing_classes_are_in_one_message(tmp_path, monkeypatch):
    root = context_tree.make(tmp_path / "data/context")
    context_tree.add_names(root, context_tree.names(sky="heaven"))
    with pytest.raises(SystemExit) as caught:
        convert(tmp_path, monkeypatch, context_tree.labels(folder="JPEGImages"))
    assert "labels.folder contains no <id>.mat (1):\n    JPEGImages" in str(caught.value)
    assert "missing in labels.txt (use the list that is published with the annotations) (1):\n    sky" in str(
        caught.value
    )


def test_linked_folders_are_refused(tmp_path, monkeypatch):
    root = context_tree.make(tmp_path / "data/context")
    (root / "trainval").rename(tmp_path / "elsewhere")
    (root / "trainval").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(
        SystemExit, match=r"folder that is a symbolic link.*\n    data/context/trainval -> /.*/elsewhere"
    ):
        convert(tmp_path, monkeypatch, context_tree.labels())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folder": None}, "labels.folder: must be a path where format is context_mat"),
        ({"names": None}, "labels.names: must be a path where format is context_mat"),
        ({"format": "sbd"}, "labels.names: must be null where format is sbd"),
        ({"format": "none", "names": None}, "labels.folder: must be null where format is none"),
        ({"format": "mat"}, "labels.format: Input should be 'none', 'sbd', 'context_mat' or 'context_png'"),
        ({"folder": "../trainval"}, "labels.folder: must be a path inside the data root"),
        ({"reduce": "voc"}, "labels.reduce: Input should be 'context_33'"),
        ({"format": "sbd", "names": None, "reduce": "context_33"}, "labels.reduce: must be null where format is sbd"),
        (
            {"format": "context_png", "names": None, "ids": "0-33", "reduce": "context_33"},
            "labels.reduce: must be null where ids is 0-33",
        ),
    ],
)
def test_invalid_parameters_are_explained(changes, message):
    with pytest.raises(params.ParamsError) as caught:
        params.build(context_tree.labels(**changes), conversion.Params, "labels")
    assert message in str(caught.value)


@pytest.mark.parametrize("n_unseen", [0, 2, 4, 6, 8, 10])
def test_context_is_split_by_each_published_list(converted, monkeypatch, n_unseen):
    folder, written = converted
    split = prepare(folder, monkeypatch, n_unseen=n_unseen)
    names = published.CONTEXT.unseen[:n_unseen]
    assert split.classes == CLASSES and split.seen[0] == 0 and len(split.seen) == 60 - n_unseen
    assert {CLASSES[label] for label in split.unseen} == set(names)
    assert {item.id for item in split.unlabelled} == set(names)
    assert (len(split.train), len(split.val)) == (17 - n_unseen, 1)
    for path in (folder / "data/masks").rglob("*.png"):
        assert path.read_bytes() == written[path.stem]


def test_excluded_pixels_leave_the_background_of_their_image(converted, monkeypatch):
    folder, _ = converted
    prepare(folder, monkeypatch, exclude="pixels")
    mask = image_files.read_mask(folder / "data/masks/train/cow.png")
    assert (mask[:, 4:] == 0).all() and (mask[:, :4] == 65535).all()


def test_a_mask_that_was_not_converted_is_reported(tmp_path, monkeypatch):
    context_tree.make(tmp_path / "data/context")
    with pytest.raises(
        SystemExit, match=r"no mask data/labels/<id>.png; masks of other formats: see `labels` \(1\):\n    all, .*"
    ):
        prepare(tmp_path, monkeypatch)
