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
