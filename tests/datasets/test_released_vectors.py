import os
import pathlib

import numpy as np
import pytest

from zeroshot.datasets import published, released_vectors
from zeroshot.words import arrays, class_vectors


def test_other_vectors_are_not_checked():
    assert released_vectors.check_order(np.ones((3, 2), np.float32), ("a", "b", "c"), "matrix.npy") is None


@pytest.mark.skipif("ZS3_DATA" not in os.environ, reason="set ZS3_DATA to the folder that holds embeddings")
@pytest.mark.parametrize(("name", "file"), [("voc", "pascal_w2v300.pkl"), ("context", "pascalcontext_class_w2c.npy")])
def test_released_vectors_are_refused_for_classes_in_another_order(name, file):
    path = pathlib.Path(os.environ["ZS3_DATA"]) / "embeddings/ZS3" / file
    names = published.DATASETS[name].classes
    vectors = class_vectors.from_matrix(arrays.read(path), names, str(path))
    assert vectors.shape == (len(names), 300)
    released_vectors.check_order(vectors, names, str(path))
    respelt = tuple({"aeroplane": "airplane", "table": "dining table"}.get(other, other) for other in names)
    released_vectors.check_order(vectors, respelt, str(path))
    swapped = [*names[:2], names[3], names[2], *names[4:]]
    with pytest.raises(released_vectors.ClassOrderError) as caught:
        released_vectors.check_order(vectors, swapped, str(path))
    text = str(caught.value)
    assert text.startswith(f"{path}: these released vectors are in another order than the classes, 2 rows:\n")
    assert "  row 2: is bicycle, the class is bird\n  row 3: is bird, the class is bicycle\n" in text


@pytest.mark.skipif("ZS3_DATA" not in os.environ, reason="set ZS3_DATA to the folder that holds embeddings")
def test_released_tables_of_zsi_are_read_by_name_and_agree_with_each_other():
    folder = pathlib.Path(os.environ["ZS3_DATA"]) / "embeddings/ZSI"
    first, second = (arrays.read(folder / f"word_w2v_withbg_{name}.txt") for name in ("48_17", "65_15"))
    split = published.ZSI["coco_48_17"]
    names = ("background", *split.seen, *split.unseen)
    np.testing.assert_array_equal(released_vectors.arrange(first, names, "first"), first.T)
    # The order of columns differs, and 15 classes are in the second table alone.
    np.testing.assert_array_equal(released_vectors.arrange(second, names, "second"), first.T)
    some = ("background", "Cat", "motorbike", "tvmonitor")
    rows = released_vectors.arrange(first, some, "first")
    np.testing.assert_array_equal(rows, first.T[[0, names.index("cat"), names.index("motorcycle"), names.index("tv")]])
    with pytest.raises(released_vectors.ClassOrderError, match=r"^first: .* have no row for wine glass, unicorn;"):
        released_vectors.arrange(first, ("background", "wine glass", "cat", "unicorn"), "first")


@pytest.mark.skipif("ZS3_DATA" not in os.environ, reason="set ZS3_DATA to the folder that holds embeddings")
def test_released_vectors_of_zs3net_are_arranged_by_name():
    matrix = arrays.read(pathlib.Path(os.environ["ZS3_DATA"]) / "embeddings/ZS3/pascal_w2v300.pkl")
    names = ("background", *reversed(published.VOC.classes[1:]))
    np.testing.assert_array_equal(released_vectors.arrange(matrix, names, "voc"), matrix[[0, *range(20, 0, -1)]])


def test_other_matrices_are_turned_only_if_their_columns_are_the_classes():
    names = ("background", "cat", "dog")
    for shape, expected in (((3, 2), (3, 2)), ((2, 3), (3, 2)), ((3, 3), (3, 3)), ((4, 5), (4, 5))):
        matrix = np.random.default_rng(0).normal(size=shape)
        arranged = released_vectors.arrange(matrix, names, "matrix.npy")
        assert arranged.shape == expected
        np.testing.assert_array_equal(arranged, matrix if shape == expected else matrix.T)
