import numpy as np
import pytest

from zeroshot.evaluation import metrics, protocols

CLASSES = ("background", "cow", "dog")
MATRIX = np.array([[6, 2, 0], [0, 0, 0], [0, 1, 3]])


def test_class_table_has_roles_and_no_values_for_absent_classes():
    rows = protocols.class_table(MATRIX, CLASSES, unseen=[2])
    assert [(row["class"], row["role"], row["pixels"]) for row in rows] == [
        ("background", "seen", 8),
        ("cow", "seen", 0),
        ("dog", "unseen", 4),
    ]
    assert rows[1]["IoU"] is None and rows[1]["accuracy"] is None
    assert [rows[0]["IoU"], rows[2]["IoU"]] == pytest.approx([75.0, 75.0])
    assert [rows[0]["accuracy"], rows[2]["accuracy"]] == pytest.approx([75.0, 75.0])
    summary = metrics.summarise(MATRIX, [0, 1], [2])
    assert summary["seen"]["mIoU"] == pytest.approx(75.0)


def test_confusion_table_has_the_shares_of_each_true_class():
    rows = protocols.confusion_table(MATRIX, CLASSES)
    shares = {(row["truth"], row["prediction"]): row["share"] for row in rows}
    assert len(rows) == len(shares) == 9
    assert shares["background", "background"] == 75.0 and shares["background", "cow"] == 25.0
    assert shares["dog", "cow"] == 25.0 and shares["dog", "dog"] == 75.0
    assert all(shares["cow", name] == 0.0 for name in CLASSES)
    assert protocols.confusion_table(np.array([[1, 2], [0, 0]]), ("a", "b"))[0]["share"] == 33.3333
