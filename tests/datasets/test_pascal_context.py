import numpy as np
import pytest
import scipy.io

from tests.support import context_tree
from zeroshot.base import errors
from zeroshot.datasets import pascal_context, published
from zeroshot.images import image_files

CLASSES = published.CONTEXT.classes


def table(root, listed):
    faults = errors.Faults()
    context_tree.add_names(root, listed)
    result = pascal_context.table_459(root, "labels.txt", faults)
    try:
        faults.raise_any("data")
    except errors.DatasetError as error:
        return result, str(error)
    return result, ""


def test_each_of_the_59_classes_has_its_label_and_all_others_are_background(tmp_path):
    label_table, text = table(tmp_path, context_tree.names())
    assert text == "" and label_table.shape == (460,)
    assert {name: int(label_table[id]) for name, id in context_tree.IDS.items()} == {
        name: label for label, name in enumerate(CLASSES) if label
    }
    assert np.count_nonzero(label_table) == 59


@pytest.mark.parametrize(
    "renamed",
    [
        {"table": "diningtable", "bedclothes": "bedcloth", "cloth": "clothes"},
        {"aeroplane": "airplane", "motorbike": "motorcycle", "tvmonitor": "tv/monitor"},
        {"pottedplant": "potted plant", "tvmonitor": "TV monitor"},
    ],
)
def test_other_spellings_mean_the_same_classes(tmp_path, renamed):
    expected, _ = table(tmp_path, context_tree.names())
    label_table, text = table(tmp_path, context_tree.names(**renamed))
    assert text == "" and np.array_equal(label_table, expected)


def test_exact_name_has_priority_over_another_spelling(tmp_path):
    listed = context_tree.names()
    listed[4] = "clothes"
    label_table, text = table(tmp_path, listed)
    assert text == "" and label_table[5] == 0 and label_table[context_tree.IDS["cloth"]] == CLASSES.index("cloth")


def test_lines_for_label_0_and_blank_lines_are_ignored(tmp_path):
    expected, _ = table(tmp_path, context_tree.names())
    text = (tmp_path / "labels.txt").read_text()
    (tmp_path / "labels.txt").write_text(f"0: background\n\n{text}\n")
    assert np.array_equal(pascal_context.table_459(tmp_path, "labels.txt", errors.Faults()), expected)


def test_all_missing_classes_are_named_together(tmp_path):
    _, text = table(tmp_path, context_tree.names(fence="fences", sky="heaven", table="desk"))
    assert (
        "class of the 59 that is missing in labels.txt (use the list that is published with the annotations) (3):"
        in text
    )
    assert "    table\n" in text and "    fence; similar: fences\n" in text and "    sky" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1: accordion\n3: aeroplane\n", "labels.txt: line 2 is '3: aeroplane', expected `2: <name>`"),
        ("accordion\n", "labels.txt: line 1 is 'accordion', expected `1: <name>`"),
        ("1: accordion\n2:\n", "labels.txt: line 2 is '2:', expected `2: <name>`"),
        ("\n", "empty list (1):\n    labels.txt"),
        ("0: none\n", "labels.txt: has no labels"),
        (b"\xff\xfe\x00", "labels.txt: is UTF-16 text; save it as UTF-8"),
        (None, "labels.txt: No such file or directory"),
    ],
)
def test_wrong_label_lists_are_explained(tmp_path, content, message):
    if content is not None:
        (tmp_path / "labels.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    faults = errors.Faults()
    pascal_context.table_459(tmp_path, "labels.txt", faults)
    with pytest.raises(errors.DatasetError) as caught:
        faults.raise_any("data")
    assert message in str(caught.value) and "is missing in" not in str(caught.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compressed", [False, True])
def test_label_map_is_read(tmp_path, dtype, compressed):
    ids = np.arange(48, dtype=dtype).reshape(6, 8)
    scipy.io.savemat(tmp_path / "x.mat", {"LabelMap": ids}, do_compression=compressed)
    label_map = pascal_context.read_mat(tmp_path / "x.mat")
    assert label_map.dtype == dtype and np.array_equal(label_map, ids)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"GTcls": [1], "other": [2]}, r"x\.mat: contains no variable LabelMap, only GTcls, other"),
        ({"LabelMap": np.zeros((2, 2))}, r"x\.mat: contains no two-dimensional uint16 or uint8 matrix LabelMap"),
        ({"LabelMap": np.zeros((2, 2, 2), np.uint8)}, r"x\.mat: contains no two-dimensional uint16 or uint8 matrix"),
    ],
)
def test_files_without_a_label_map_are_refused(tmp_path, content, message):
    scipy.io.savemat(tmp_path / "x.mat", content)
    with pytest.raises(image_files.ImageError, match=message):
        pascal_context.read_mat(tmp_path / "x.mat")


# Copied from section 4 of the description of SZN: the 33 classes in the order of its masks, whose value v means class v - 1.
NAMES_33 = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor", "sky", "grass", "ground",
    "road", "building", "tree", "water", "mountain", "wall", "floor", "track", "keyboard", "ceiling",
]  # fmt: skip


def test_the_33_classes_are_those_of_szn_in_the_order_of_its_masks():
    assert list(published.CONTEXT_33.classes[1:]) == NAMES_33 and not published.CONTEXT_33.has_background


def test_tables_are_reduced_to_the_33_classes_by_name(tmp_path):
    names = ["table" if name == "diningtable" else name for name in NAMES_33]
    expected = {name: names.index(name) + 1 if name in names else 65535 for name in context_tree.IDS}
    label_table = pascal_context.reduced(table(tmp_path, context_tree.names())[0])
    assert {name: int(label_table[id]) for name, id in context_tree.IDS.items()} == expected
    others = np.setdiff1d(np.arange(460), list(context_tree.IDS.values()))
    assert set(label_table[others]) == {65535}
    for ids, order in (("0-59", "alphabetical"), ("0-58", "listed")):
        whole = pascal_context.table_png(ids, order)
        reduced = pascal_context.reduced(whole)
        assert [reduced[value] for value in range(256) if 0 < whole[value] < 60] == [
            expected[CLASSES[label]] for label in whole if 0 < label < 60
        ]
        assert set(reduced[whole == 0]) == {65535} and np.array_equal(reduced < 0, whole < 0)


def test_masks_of_33_classes_keep_their_values_and_0_is_ignored():
    for order in ("listed", "alphabetical"):
        label_table = pascal_context.table_png("0-33", order)
        assert label_table[:34].tolist() == [65535, *range(1, 34)] and label_table[255] == 65535
        assert set(label_table[34:255]) == {-1}


def test_every_convention_of_converted_pngs_has_each_class_once():
    alphabetical = sorted(context_tree.IDS)
    for order, names in {"listed": CLASSES[1:], "alphabetical": alphabetical}.items():
        whole, shifted = pascal_context.table_png("0-59", order), pascal_context.table_png("0-58", order)
        assert [CLASSES[label] for label in whole[:60]] == ["background", *names]
        assert [CLASSES[label] for label in shifted[:59]] == list(names)
        assert (whole[255], shifted[255]) == (65535, 0)
        assert set(whole[60:255]) == set(shifted[59:255]) == {-1}
