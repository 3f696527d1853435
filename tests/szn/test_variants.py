import numpy as np
import pytest
import scipy.sparse

from tests.support import pixel_world, szn_world
from zeroshot.evaluation import image_confusions
from zeroshot.szn import joint_embedding, variants

N = len(pixel_world.CLASSES)
PROTOCOLS = ("generalised", "without_bias", "seen_side", "unseen_side", "vanilla")


@pytest.fixture
def confusions():
    """Random matrices of three images in each protocol."""
    random = np.random.default_rng(0)
    tables = {name: random.integers(0, 9, (3, N * N)) for name in PROTOCOLS}
    return image_confusions.ImageConfusions(
        ("a", "b", "c"), N, {name: scipy.sparse.csr_matrix(table) for name, table in tables.items()}
    )


def dense(matrix):
    return matrix.toarray().reshape(3, N, N)


def test_rows_are_taken_from_the_protocol_of_their_true_class(confusions):
    chosen = {"seen_side": [0, 2], "vanilla": [5], "unseen_side": [9]}
    result = dense(image_confusions.by_truth(confusions, chosen))
    expected = np.zeros((3, N, N))
    for name, labels in chosen.items():
        for label in labels:
            expected[:, label] = dense(confusions.counts[name])[:, label]
    np.testing.assert_array_equal(result, expected)
    assert image_confusions.by_truth(confusions, chosen).dtype == np.int64
    assert not image_confusions.by_truth(confusions, {"vanilla": []}).nnz


def test_the_perfect_mask_takes_the_side_of_the_true_class(confusions):
    perfect = variants.perfect_mask(confusions, szn_world.split())
    assert set(perfect.counts) == {"generalised", "without_bias", "vanilla"}
    for name in ("generalised", "without_bias"):
        for label in range(N):
            side = "seen_side" if label in szn_world.TRAIN_SEEN else "unseen_side"
            np.testing.assert_array_equal(
                dense(perfect.counts[name])[:, label], dense(confusions.counts[side])[:, label]
            )
    assert perfect.counts["vanilla"] is confusions.counts["vanilla"]


def test_the_predicted_mask_has_the_protocols_of_evaluation(confusions):
    assert variants.predicted_mask(confusions).counts == {
        name: confusions.counts[name] for name in ("generalised", "without_bias", "vanilla")
    }
    del confusions.counts["vanilla"]
    assert set(variants.predicted_mask(confusions).counts) == {"generalised", "without_bias"}


def test_the_true_mask_has_unseen_and_held_out_classes():
    truth = np.array([[0, 3, 5], [65535, 9, 1]], np.uint16)
    expected = [[False, True, True], [False, True, False]]
    np.testing.assert_array_equal(variants.is_untrained(truth, szn_world.split()), expected)


@pytest.mark.parametrize("include", [True, False])
def test_mask_accuracy_is_the_share_of_pixels_of_a_role_on_their_side(include):
    masked = joint_embedding.with_mask(szn_world.joint(), szn_world.split(), include)
    on_unseen_side = set(masked.labels[masked.unseen_side].tolist())
    matrix = np.random.default_rng(1).integers(1, 9, (N, N))
    matrix[list(szn_world.UNSEEN)] = 0
    shares = variants.mask_accuracy(matrix, masked, szn_world.split())
    right = {"train_seen": 0, "train_unseen": 0}
    total = dict(right)
    for truth, prediction in np.ndindex(N, N):
        role = "train_seen" if truth in szn_world.TRAIN_SEEN else "train_unseen"
        total[role] += matrix[truth, prediction]
        is_right = (prediction in on_unseen_side) == (role != "train_seen")
        right[role] += matrix[truth, prediction] * is_right
    assert shares["unseen"] is None
    for role in right:
        assert shares[role] == pytest.approx(100 * right[role] / total[role])


def test_thesis_metrics_by_hand():
    """Trap T6: a class of another group that is predicted counts with an IoU of 0, and other groups' pixels are no false positives."""
    split = szn_world.split()
    matrix = np.zeros((N, N), np.int64)
    matrix[5, 5], matrix[5, 1], matrix[1, 1], matrix[1, 5] = 3, 1, 6, 2
    found = variants.thesis_metrics(matrix, split)
    # Rows of unseen classes: class 5 has 3 of 4, and class 1 is predicted once without a true pixel.
    assert found["unseen"]["mIoU"] == pytest.approx(100 * (3 / 4 + 0) / 2)
    assert found["seen"]["mIoU"] == pytest.approx(100 * (6 / 8 + 0) / 2)
    assert found["overall"]["mIoU"] == pytest.approx(100 * (3 / 6 + 6 / 9) / 2)
    assert found["unseen"]["PA"] == pytest.approx(75) and found["overall"]["PA"] == pytest.approx(75)
