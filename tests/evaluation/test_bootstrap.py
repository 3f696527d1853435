import dataclasses

import numpy as np
import pytest
import scipy.sparse

from zeroshot.evaluation import bootstrap, image_confusions, metrics

SEEN, UNSEEN = (0, 1), (2,)


def counts(n_images, accuracy, seed=0, pixels=50):
    """Return sparse counts (n, 9): of every image `pixels` of each class, a binomial number of which is correct."""
    rng = np.random.default_rng(seed)
    matrices = np.zeros((n_images, 3, 3), np.int64)
    for image, label in np.ndindex(n_images, 3):
        correct = rng.binomial(pixels, np.clip(accuracy + rng.normal(0, 0.1), 0, 1))
        matrices[image, label, label], matrices[image, label, (label + 1) % 3] = correct, pixels - correct
    return scipy.sparse.csr_matrix(matrices.reshape(n_images, 9))


def scored(*runs, absent="skip"):
    images = tuple(map(str, range(runs[0].shape[0])))
    return bootstrap.Scored(images, runs, SEEN, UNSEEN, absent)


def hiou(one):
    return metrics.summarise(np.asarray(one.sum(axis=0)).reshape(3, 3), SEEN, UNSEEN)["hIoU"]


def test_hious_are_those_of_single_matrices():
    matrices = np.random.default_rng(0).integers(0, 9, (20, 3, 3))
    matrices[0, 2] = 0  # No true pixel of the unseen class.
    matrices[1, 1] = 0
    for absent in ("skip", "zero"):
        summaries = [metrics.summarise(matrix, SEEN, UNSEEN, absent)["hIoU"] for matrix in matrices]
        assert (summaries[0] is None) == (absent == "skip")
        expected = [np.nan if hiou is None else hiou for hiou in summaries]
        np.testing.assert_allclose(metrics.hious(matrices, SEEN, UNSEEN, absent), expected)


def test_the_interval_is_that_of_a_loop_over_resampled_images():
    one = counts(40, 0.7)
    interval = bootstrap.interval(scored(one))
    rng = np.random.default_rng(5)
    values = [hiou(one[rng.integers(0, 40, 40)]) for _ in range(2000)]
    assert interval.low == pytest.approx(np.quantile(values, 0.025), abs=0.3)
    assert interval.high == pytest.approx(np.quantile(values, 0.975), abs=0.3)
    assert interval.low < hiou(one) < interval.high and interval == bootstrap.interval(scored(one))


def test_a_difference_is_paired():
    """Two methods that fail on the same images differ by little, although each varies much between images."""
    one = counts(40, 0.7)
    slightly_worse = one.copy().tolil()
    for image in range(0, 40, 2):  # One correct pixel fewer of the unseen class in every other image.
        slightly_worse[image, 8] -= 1
        slightly_worse[image, 6] += 1
    worse = scipy.sparse.csr_matrix(slightly_worse)
    difference = bootstrap.interval(scored(one), scored(worse))
    alone = bootstrap.interval(scored(one))
    assert 0 < difference.low < hiou(one) - hiou(worse) < difference.high
    assert difference.excludes_zero and difference.high - difference.low < 0.3 * (alone.high - alone.low)
    same = bootstrap.interval(scored(one), scored(one))
    assert (same.low, same.high) == (0, 0) and not same.excludes_zero


def test_several_runs_are_averaged_before_the_interval():
    first, second = counts(40, 0.7, seed=1), counts(40, 0.5, seed=2)
    interval = bootstrap.interval(scored(first, second))
    assert interval.low < (hiou(first) + hiou(second)) / 2 < interval.high


def test_the_interval_does_not_depend_on_the_number_of_sets_that_fit_into_memory(monkeypatch):
    expected = bootstrap.interval(scored(counts(40, 0.7)))
    for entries in (7 * 9, 1):  # Seven sets at a time, and fewer entries than one set has.
        monkeypatch.setattr(bootstrap, "_BATCH_ENTRIES", entries)
        assert bootstrap.interval(scored(counts(40, 0.7))) == expected


def test_there_is_no_interval_without_unseen_classes_or_of_one_image():
    supervised = dataclasses.replace(scored(counts(5, 0.7)), seen=(0, 1, 2), unseen=())
    assert bootstrap.interval(supervised) is None
    assert bootstrap.interval(scored(counts(1, 0.7))) is None


def without_pixels(one, label):
    """Return counts (n, 9) in which no image shows a class."""
    matrices = one.toarray().reshape(-1, 3, 3)
    matrices[:, label] = 0
    return scipy.sparse.csr_matrix(matrices.reshape(len(matrices), 9))


@pytest.mark.parametrize("labels", [(2,), (0, 1)])
def test_there_is_no_interval_where_no_image_shows_a_class_of_a_group(labels):
    one = counts(5, 0.7)
    for label in labels:
        one = without_pixels(one, label)
    assert hiou(one) is None and bootstrap.interval(scored(one)) is None
    assert bootstrap.interval(scored(counts(5, 0.7)), scored(one)) is None
    assert bootstrap.interval(scored(one), scored(counts(5, 0.7))) is None
    # Absent classes count as 0 there, so hIoU is 0 and not missing.
    assert bootstrap.interval(scored(one, absent="zero")) == bootstrap.Interval(0.0, 0.0)


@pytest.mark.filterwarnings("error")
def test_sets_of_images_without_an_unseen_pixel_do_not_count():
    one = counts(6, 0.7)
    first = without_pixels(one[1:], 2)
    # Only the first image shows the unseen class, so a third of the sets have none of it.
    rare = scipy.sparse.vstack([one[:1], first]).tocsr()
    interval = bootstrap.interval(scored(rare))
    rng = np.random.default_rng(5)
    values = [hiou(rare[rng.integers(0, 6, 6)]) for _ in range(4000)]
    kept = [value for value in values if value is not None]
    assert 0.2 < 1 - len(kept) / len(values) < 0.5
    assert interval.low == pytest.approx(np.quantile(kept, 0.025), abs=1.5) and interval.low > 0
    assert interval.high == pytest.approx(np.quantile(kept, 0.975), abs=1.5)


def test_methods_with_different_images_are_not_compared():
    one = scored(counts(5, 0.7))
    assert bootstrap.interval(one, one) is not None
    assert bootstrap.interval(one, dataclasses.replace(one, images=tuple("abcde"))) is None
    assert bootstrap.interval(one, scored(counts(6, 0.7))) is None


def test_matrices_of_images_survive_a_file_and_equal_ones_give_equal_bytes(tmp_path):
    written = image_confusions.ImageConfusions(
        tuple("abcde"), 3, {"generalised": counts(5, 0.7), "vanilla": counts(5, 1)}
    )
    for name in ("one.h5", "two.h5"):
        image_confusions.write(tmp_path / name, written)
    read = image_confusions.read(tmp_path / "one.h5")
    assert (read.images, read.n_classes, set(read.counts)) == (written.images, 3, set(written.counts))
    for name, matrix in written.counts.items():
        np.testing.assert_array_equal(read.counts[name].toarray(), matrix.toarray())
        np.testing.assert_array_equal(read.total(name), matrix.toarray().sum(axis=0).reshape(3, 3))
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
