import os
import shutil
import unicodedata

import pytest
from dvc.fs import LocalFileSystem, MemoryFileSystem
from dvc_data.hashfile.build import build
from dvc_data.hashfile.db.reference import ReferenceHashFileDB

from tests.support import voc_tree
from zeroshot.base import errors, params
from zeroshot.datasets import layout, lists, published
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
    lines = ["a", "b", "c", "a", "v", "gone", "../c", "x/y", "x\\y", ".hidden", "c\x07d"]
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
    assert "train.txt: is UTF-16 text; save it as UTF-8" in find_train(root)[1]
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


def test_class_names_that_differ_in_spelling_only_are_named_in_pairs(tmp_path):
    (tmp_path / "classes.txt").write_text("background\nCow\nred ball\ncow\nred-ball\n")
    faults = errors.Faults()
    lists.read_classes(tmp_path, "classes.txt", faults)
    assert text_of(faults).splitlines() == [
        "data: 2 faults",
        "  class names must differ by more than case, spaces, hyphens, underscores and the encoding of accents (2):",
        "    classes.txt: `Cow` on line 1 and `cow` on line 3",
        "    classes.txt: `red ball` on line 2 and `red-ball` on line 4",
    ]


def test_class_names_are_published_or_read_from_a_file(tmp_path):
    faults = errors.Faults()
    for name, dataset in published.DATASETS.items():
        assert lists.read_classes(tmp_path, name, faults) == dataset.classes
    assert lists.read_classes(voc_tree.make(tmp_path), "classes.txt", faults) == voc_tree.CLASSES
    assert text_of(faults) == ""


def test_faults_of_class_lists_are_reported(tmp_path):
    voc_tree.add_list(tmp_path / "classes.txt", ["background", "cow", "", "cow"])
    faults = errors.Faults()
    lists.read_classes(tmp_path, "classes.txt", faults)
    assert "classes.txt: line 2 is empty" in text_of(faults)
    assert "classes.txt: `cow` is on lines 1 and 3" in text_of(faults)
    for count in (1, 65535):
        voc_tree.add_list(tmp_path / "classes.txt", [f"name {number}" for number in range(count)])
        faults = errors.Faults()
        lists.read_classes(tmp_path, "classes.txt", faults)
        assert f"classes.txt: {count} classes; label ids allow 2 to 65534" in text_of(faults)


@pytest.mark.parametrize("count", [2, 255, 256, 65534])
def test_class_lists_may_have_2_to_65534_names(tmp_path, count):
    names = [f"name {number}" for number in range(count)]
    voc_tree.add_list(tmp_path / "classes.txt", names)
    faults = errors.Faults()
    assert lists.read_classes(tmp_path, "classes.txt", faults) == tuple(names)
    assert text_of(faults) == ""


@pytest.mark.parametrize(
    ("classes", "first"),
    [("voc", ("cow", "motorbike", "aeroplane", "sofa")), ("context", ("cow", "motorbike", "sofa", "cat"))],
)
def test_n_unseen_selects_the_published_names_of_the_dataset(classes, first):
    assert layout.unseen_names(voc_tree.settings(classes=classes, n_unseen=4, unseen=None)) == first


def test_the_33_classes_of_context_have_no_background_and_no_list_of_unseen_classes():
    fields = {"classes": "context_33", "background": None, "unseen": None}
    assert layout.unseen_names(voc_tree.settings(**fields, n_unseen=0)) == ()
    with pytest.raises(params.ParamsError, match="data.background: must be null where classes is context_33"):
        voc_tree.settings(**fields | {"background": "label_0"}, n_unseen=0)
    with pytest.raises(
        params.ParamsError, match="must list the names where `classes` is context_33; n_unseen has lists"
    ):
        voc_tree.settings(**fields, n_unseen=2)


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


def links_of(root, **changes):
    faults = errors.Faults()
    layout.check_links(root, layout.paths(voc_tree.settings(**changes)), faults)
    return text_of(faults)


def moved_and_linked(path, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    path.symlink_to(target)


@pytest.mark.parametrize("name", ["JPEGImages", "SegmentationClass", "ImageSets", "ImageSets/Segmentation"])
def test_linked_folders_below_the_root_are_refused_by_name(tmp_path, name):
    root = voc_tree.make(tmp_path / "data")
    assert links_of(root) == ""
    moved_and_linked(root / name, tmp_path / "elsewhere")
    text = links_of(root)
    assert "folder that is a symbolic link: DVC would not notice changes behind it" in text
    assert f"\n    {root}/{name} -> {tmp_path}/elsewhere" in text and text.startswith("data: 1 fault\n")


@pytest.mark.parametrize("name", ["benchmark_RELEASE", "benchmark_RELEASE/dataset/img"])
def test_linked_folders_of_sbd_are_refused(tmp_path, name):
    root = voc_tree.make(tmp_path / "data")
    voc_tree.add_sbd(root, {"s": (0,) * 8})
    moved_and_linked(root / name, tmp_path / "elsewhere")
    assert links_of(root) == ""
    assert f"{root}/{name} -> " in links_of(root, sbd="benchmark_RELEASE/dataset")


def test_the_root_and_single_files_may_be_links(tmp_path):
    root = voc_tree.make(tmp_path / "data")
    moved_and_linked(root / "classes.txt", tmp_path / "elsewhere/names.txt")
    moved_and_linked(root / "JPEGImages/a.png", tmp_path / "elsewhere/photograph.png")
    (tmp_path / "link").symlink_to(root)
    assert links_of(root) == links_of(tmp_path / "link") == ""
    assert find_train(tmp_path / "link")[1] == ""


def test_dvc_notices_a_change_behind_a_linked_file_but_not_behind_a_linked_folder(tmp_path):
    """The reason for the rule above."""
    root = voc_tree.make(tmp_path / "data")
    moved_and_linked(root / "classes.txt", tmp_path / "names.txt")
    moved_and_linked(root / "SegmentationClass", tmp_path / "masks")

    def digest():
        odb = ReferenceHashFileDB(MemoryFileSystem(), "/odb")
        return build(odb, str(root), LocalFileSystem(), "md5", dry_run=True)[2].hash_info.value

    first = digest()
    (tmp_path / "masks/a.png").write_bytes((tmp_path / "masks/b.png").read_bytes())
    assert digest() == first
    (tmp_path / "names.txt").write_text("other names")
    assert digest() != first


def test_pipes_are_no_lists_and_no_images(tmp_path):
    root = voc_tree.make(tmp_path)
    for path in (root / "JPEGImages/a.png", root / "ImageSets/Segmentation/val.txt"):
        path.unlink()
        os.mkfifo(path)
    entries, text = find_train(root)
    assert [entry.id for entry in entries] == ["b", "c", "d"] and "no image" in text
    faults = errors.Faults()
    layout.find_val(root, root / "labels", voc_tree.settings(), faults)
    assert "unreadable list (1):\n    ImageSets/Segmentation/val.txt: is a pipe or device" in text_of(faults)


@pytest.mark.parametrize("in_list", ["NFC", "NFD"])
@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_ids_match_files_however_accents_are_encoded(tmp_path, in_list, on_disk):
    root = voc_tree.make(tmp_path)
    name = unicodedata.normalize(on_disk, "été")
    for folder in ("JPEGImages", "SegmentationClass"):
        (root / folder / "a.png").rename(root / folder / f"{name}.png")
    lines = ["\ufeffb", unicodedata.normalize(in_list, "été")]
    (root / "ImageSets/Segmentation/train.txt").write_text("\r\n".join(lines), encoding="utf-8")
    entries, text = find_train(root)
    assert text == "" and [entry.id for entry in entries] == ["b", unicodedata.normalize("NFC", "été")]
    assert entries[1].image == f"JPEGImages/{name}.png" and (root / entries[1].image).exists()


def test_unseen_names_match_classes_however_accents_are_encoded(tmp_path):
    (tmp_path / "classes.txt").write_text("background\n" + unicodedata.normalize("NFD", "café"), encoding="utf-8")
    classes = lists.read_classes(tmp_path, "classes.txt", errors.Faults())
    for form in ("NFC", "NFD"):
        assert layout.unseen_names(voc_tree.settings(unseen=[unicodedata.normalize(form, "café")])) == classes[1:]


@pytest.mark.parametrize("name", ["traffic\u00a0light", "zebra\u200b", "ze\tbra"])
def test_invisible_characters_in_class_names_are_shown(tmp_path, name):
    (tmp_path / "classes.txt").write_text(f"background\n{name}\ncow", encoding="utf-8")
    faults = errors.Faults()
    assert lists.read_classes(tmp_path, "classes.txt", faults) == ()
    assert f"classes.txt: line 1 has an invisible character: {name!a}" in text_of(faults)


def test_a_missing_folder_is_one_fault(tmp_path):
    root = voc_tree.make(tmp_path)
    shutil.rmtree(root / "JPEGImages")
    assert f"no image {root}/JPEGImages/<id>.jpg|.jpeg|.png (1):\n    all, since there is no" in find_train(root)[1]


def find_unlabelled(root, labelled_ids=()):
    faults = errors.Faults()
    settings = voc_tree.settings(unlabelled_list="unlabelled.txt")
    return layout.find_unlabelled(root, settings, labelled_ids, faults), text_of(faults)


def test_unlabelled_images_need_no_mask(tmp_path):
    root = voc_tree.make(tmp_path)
    voc_tree.add_list(root / "unlabelled.txt", ["u", "a"])
    voc_tree.add_image(root / "JPEGImages/u.png")
    entries, text = find_unlabelled(root)
    assert text == "" and entries == [layout.Entry(id, f"JPEGImages/{id}.png", None) for id in ("a", "u")]
    assert layout.find_unlabelled(root, voc_tree.settings(), {"u"}, errors.Faults()) == []


def test_unlabelled_ids_of_other_lists_and_without_image_are_refused(tmp_path):
    root = voc_tree.make(tmp_path)
    voc_tree.add_list(root / "unlabelled.txt", ["a", "gone"])
    text = find_unlabelled(root, {"a", "v"})[1]
    assert "listed as unlabelled, and also for training or validation (1):\n    unlabelled.txt: a" in text
    assert "(1):\n    gone" in text
