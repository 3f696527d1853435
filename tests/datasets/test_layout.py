import pytest

from tests.support import voc_tree
from zeroshot.base import errors, params
from zeroshot.datasets import layout, published
from zeroshot.images import image_files


def text_of(faults):
    try:
        faults.raise_any("data")
    except errors.DatasetError as error:
        return str(error)
    return ""


def find_train(root, **changes):
    faults = errors.Faults()
    return layout.find_train(root, root / "labels", voc_tree.settings(**changes), faults), text_of(faults)


def test_entries_are_sorted_for_every_order_of_the_list(tmp_path):
    root = voc_tree.make(tmp_path)
    entries, text = find_train(root)
    assert text == ""
    assert [entry.id for entry in entries] == ["a", "b", "c", "d"]
    assert entries[0] == layout.Entry("a", "JPEGImages/a.png", root / "SegmentationClass/a.png")


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".JPG"])
def test_images_are_found_with_every_suffix(tmp_path, suffix):
    root = voc_tree.make(tmp_path)
    (root / "JPEGImages/a.png").rename(root / f"JPEGImages/a{suffix}")
    entries, text = find_train(root)
    assert text == "" and entries[0].image == f"JPEGImages/a{suffix}"


def test_ids_with_dots_and_spaces_and_blank_lines_are_valid(tmp_path):
    root = voc_tree.make(tmp_path)
    for folder in ("JPEGImages", "SegmentationClass"):
        (root / folder / "a.png").rename(root / folder / "my a.2.png")
    (root / "ImageSets/Segmentation/train.txt").write_text("\nmy a.2\r\n\nb\n\n")
    entries, text = find_train(root)
    assert text == "" and [entry.id for entry in entries] == ["b", "my a.2"]


def test_sbd_adds_images_outside_validation_and_voc_masks_have_priority(tmp_path):
    root = voc_tree.make(tmp_path)
    sbd = "benchmark_RELEASE/dataset"
    voc_tree.add_sbd(root, dict.fromkeys(("s", "b", "v"), (0,) * 8))
    for id in ("s", "b", "v"):
        image_files.write_mask(root / f"labels/{id}.png", voc_tree.mask((0,) * 8))
    entries, text = find_train(root, sbd=sbd)
    assert text == ""
    by_id = {entry.id: entry for entry in entries}
    assert list(by_id) == ["a", "b", "c", "d", "s"]
    assert by_id["s"] == layout.Entry("s", f"{sbd}/img/s.jpg", root / "labels/s.png")
    assert by_id["b"] == layout.Entry("b", "JPEGImages/b.png", root / "SegmentationClass/b.png")


def test_listed_image_without_voc_mask_has_the_sbd_mask(tmp_path):
    root = voc_tree.make(tmp_path)
    voc_tree.add_sbd(root, {"b": (0,) * 8}, images_too=False)
    (root / "labels").mkdir()
    (root / "SegmentationClass/b.png").rename(root / "labels/b.png")
    entries, text = find_train(root, sbd="benchmark_RELEASE/dataset")
    assert text == "" and entries[1].mask == root / "labels/b.png"


def test_all_faults_of_the_lists_are_reported_together(tmp_path):
    root = voc_tree.make(tmp_path)
    (root / "JPEGImages/a.png").unlink()
    (root / "SegmentationClass/b.png").unlink()
    lines = ["a", "b", "c", "a", "v", "gone", "../c", "x/y", "x\\y", ".hidden", "c\0d"]
    voc_tree.add_list(root / "ImageSets/Segmentation/train.txt", lines)
    entries, text = find_train(root)
    assert [entry.id for entry in entries] == ["c", "v"]
    assert "id listed twice (1):\n    ImageSets/Segmentation/train.txt: `a` on lines 1 and 4" in text
    assert "listed for both training and validation (1):\n    v:" in text
    assert f"no image {root}/JPEGImages/<id>.jpg|.jpeg|.png (2):\n    a\n    gone" in text
    assert (
        f"no mask {root}/SegmentationClass/<id>.png; masks of other formats: see `labels` (2):\n    b\n    gone" in text
    )
    assert "id must be a plain file name (no folder, no leading dot, no control character) (5):" in text
    for line in lines[6:]:
        assert f"ImageSets/Segmentation/train.txt: {line!r} on line {lines.index(line) + 1}" in text


def test_empty_missing_and_binary_lists_are_reported(tmp_path):
    root = voc_tree.make(tmp_path)
    voc_tree.add_list(root / "ImageSets/Segmentation/train.txt", ["", " "])
    assert "empty list (1):\n    ImageSets/Segmentation/train.txt" in find_train(root)[1]
    (root / "ImageSets/Segmentation/train.txt").write_bytes(b"\xff\xfe\x00")
    assert "train.txt: not UTF-8 text" in find_train(root)[1]
    entries, text = find_train(tmp_path / "nowhere")
    assert entries == [] and "train.txt: No such file or directory" in text


def test_faults_of_the_validation_list_are_reported_once(tmp_path):
    root = voc_tree.make(tmp_path)
    voc_tree.add_list(root / "ImageSets/Segmentation/val.txt", ["v", "v", "w"])
    faults = errors.Faults()
    layout.find_train(root, root / "labels", voc_tree.settings(), faults)
    entries = layout.find_val(root, root / "labels", voc_tree.settings(), faults)
    assert [entry.id for entry in entries] == ["v"]
    assert text_of(faults).startswith("data: 3 faults")


def test_class_names_are_published_or_read_from_a_file(tmp_path):
    faults = errors.Faults()
    for name, dataset in published.DATASETS.items():
        assert layout.read_classes(tmp_path, name, faults) == dataset.classes
    assert layout.read_classes(voc_tree.make(tmp_path), "classes.txt", faults) == voc_tree.CLASSES
    assert text_of(faults) == ""


def test_faults_of_class_lists_are_reported(tmp_path):
    voc_tree.add_list(tmp_path / "classes.txt", ["background", "cow", "", "cow"])
    faults = errors.Faults()
    layout.read_classes(tmp_path, "classes.txt", faults)
    assert "classes.txt: line 2 is empty" in text_of(faults)
    assert "classes.txt: `cow` is on lines 1 and 3" in text_of(faults)
    for count in (1, 65535):
        voc_tree.add_list(tmp_path / "classes.txt", [f"name {number}" for number in range(count)])
        faults = errors.Faults()
        layout.read_classes(tmp_path, "classes.txt", faults)
        assert f"classes.txt: {count} classes; label ids allow 2 to 65534" in text_of(faults)


@pytest.mark.parametrize("count", [2, 255, 256, 65534])
def test_class_lists_may_have_2_to_65534_names(tmp_path, count):
    names = [f"name {number}" for number in range(count)]
    voc_tree.add_list(tmp_path / "classes.txt", names)
    faults = errors.Faults()
    assert layout.read_classes(tmp_path, "classes.txt", faults) == tuple(names)
    assert text_of(faults) == ""


@pytest.mark.parametrize(
    ("classes", "first"),
    [("voc", ("cow", "motorbike", "aeroplane", "sofa")), ("context", ("cow", "motorbike", "sofa", "cat"))],
)
def test_n_unseen_selects_the_published_names_of_the_dataset(classes, first):
    assert layout.unseen_names(voc_tree.settings(classes=classes, n_unseen=4, unseen=None)) == first


@pytest.mark.parametrize("classes", ["voc", "context", "classes.txt"])
def test_n_unseen_0_is_valid_with_every_class_list(classes):
    assert layout.unseen_names(voc_tree.settings(classes=classes, n_unseen=0, unseen=None)) == ()


def test_listed_unseen_names_keep_their_order():
    assert layout.unseen_names(voc_tree.settings(unseen=["sheep", "cow"])) == ("sheep", "cow")
    assert layout.unseen_names(voc_tree.settings(unseen=[])) == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_unseen": 2, "classes": "voc"}, "data.unseen: must be null where n_unseen is given"),
        ({"unseen": None}, "data.unseen: must be a list of class names where n_unseen is null"),
        (
            {"n_unseen": 2, "unseen": None},
            "data.unseen: must list the names where `classes` is a file; n_unseen has lists for voc and context only",
        ),
        ({"n_unseen": 5, "unseen": None, "classes": "voc"}, "data.n_unseen: Input should be 0, 2, 4, 6, 8 or 10"),
        ({"exclude": "image"}, "data.exclude: Input should be 'images' or 'pixels'"),
        ({"train_list": "../train.txt"}, "data.train_list: must be a path inside the data root"),
        ({"val_masks": "/etc"}, "data.val_masks: must be a path inside the data root"),
        ({"sbd": ""}, "data.sbd: must be a path inside the data root"),
        ({"train_mask": "x"}, "data.train_mask: unknown key; did you mean `data.train_masks`?"),
    ],
)
def test_wrong_values_of_the_section_are_explained(changes, message):
    with pytest.raises(params.ParamsError) as caught:
        voc_tree.settings(**changes)
    assert message in str(caught.value)
