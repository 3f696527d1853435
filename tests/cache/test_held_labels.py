"""Tests of the true labels of unlabelled rows, from masks that only the feature oracle and reports read."""

import dataclasses

import numpy as np
import pytest

from tests.support import pixel_world, unlabelled_world
from zeroshot.cache import held_labels, index
from zeroshot.images import image_files

UNSEEN = pixel_world.UNSEEN


def sample(folder, classes=UNSEEN, per_class=1000, seed=0):
    return held_labels.sample(
        folder / "features/unlabelled", folder / "data/masks/unlabelled", classes, per_class, seed
    )


def as_set(features):
    return {row.tobytes() for row in features}


def test_sample_has_the_features_of_its_classes(tmp_path):
    truth = unlabelled_world.write(tmp_path)
    table = sample(tmp_path)
    assert np.unique(table["label"]).tolist() == list(UNSEEN) == sorted(UNSEEN)
    assert (np.diff(table["label"].astype(int)) >= 0).all()
    for label in UNSEEN:
        expected = truth["features"][truth["label"] == label]
        features = table["features"][table["label"] == label]
        assert len(features) == len(expected) > 10 and as_set(features) == as_set(expected)
    assert (table["weight"] == np.float32(36 / 20)).all()


def test_a_sample_of_8_bit_features_has_the_same_rows(tmp_path):
    for storage in ("float16", "int8"):
        unlabelled_world.write(tmp_path / storage, storage=storage)
    exact, rounded = (sample(tmp_path / storage) for storage in ("float16", "int8"))
    # The largest feature of a shard is 9, in the second view.
    np.testing.assert_allclose(rounded["features"], exact["features"], atol=9 / 127 / 2 + 0.005)
    assert all(np.array_equal(exact[name], rounded[name]) for name in ("label", "image", "weight"))


def test_sample_has_at_most_per_class_rows_and_depends_on_the_seed_only(tmp_path):
    unlabelled_world.write(tmp_path)
    everything, some = sample(tmp_path), sample(tmp_path, per_class=7)
    assert np.bincount(some["label"])[list(UNSEEN)].tolist() == [7, 7]
    assert len(as_set(some["features"])) == 14 and as_set(some["features"]) < as_set(everything["features"])
    again = sample(tmp_path, per_class=7)
    assert all(np.array_equal(some[name], again[name]) for name in some)
    assert as_set(sample(tmp_path, per_class=7, seed=1)["features"]) != as_set(some["features"])
    one_class = sample(tmp_path, classes=UNSEEN[1:], per_class=7)
    assert np.array_equal(one_class["features"], some["features"][7:])


@pytest.mark.parametrize(("n_images", "labels", "classes"), [(0, (0,), UNSEEN), (4, (0, 1), UNSEEN), (4, (0, 5), ())])
def test_sample_of_classes_without_rows_is_empty(tmp_path, n_images, labels, classes):
    unlabelled_world.write(tmp_path, n_images, labels)
    table = sample(tmp_path, classes=classes)
    assert table["features"].shape == (0, pixel_world.DIM) and len(table["label"]) == len(table["weight"]) == 0


def test_weights_of_a_sample_sum_to_the_weights_of_all_rows(tmp_path):
    unlabelled_world.write(tmp_path)
    everything, some = sample(tmp_path), sample(tmp_path, per_class=7)
    for label in UNSEEN:
        expected, total = (table["weight"][table["label"] == label].sum() for table in (everything, some))
        assert total == pytest.approx(expected, rel=1e-6)


def test_by_shard_yields_rows_of_the_unscaled_view_with_labels(tmp_path):
    truth = unlabelled_world.write(tmp_path, n_images=5)
    shards = list(held_labels.by_shard(tmp_path / "features/unlabelled", tmp_path / "data/masks/unlabelled"))
    assert [path.name for path, _, _ in shards] == [f"shard-{number:05d}.h5" for number in range(3)]
    # A shard has two images. Each has 20 rows of the unscaled view, followed by 20 rows of another view.
    per_image = unlabelled_world.PER_IMAGE
    for (_, numbers, _), n_images in zip(shards, (2, 2, 1), strict=True):
        assert numbers.tolist() == [
            2 * per_image * image + row for image in range(n_images) for row in range(per_image)
        ]
    np.testing.assert_array_equal(np.concatenate([labels for _, _, labels in shards]), truth["label"])


@pytest.mark.parametrize("stride", [1, 4, 8])
def test_label_of_a_row_is_the_label_of_its_cell_at_any_stride(tmp_path, stride):
    cells = {name: np.random.default_rng(seed).integers(0, 5, (3, 4)) for seed, name in enumerate("ab")}
    for name, image_cells in cells.items():
        mask = np.kron(image_cells, np.ones((stride, stride), int)).astype(np.uint16)
        image_files.write_mask(tmp_path / f"{name}.png", mask)
    cache = index.Index("rows", 2, stride, ["background"], ["a", "b"], [], {})
    image = np.array([1, 0, 1, 1, 0], np.int32)
    position = np.array([[0, 0], [2, 3], [1, 2], [2, 0], [0, 3]], np.uint16)
    labels = held_labels.of_rows(image, position, cache, tmp_path)
    assert labels.dtype == np.uint16
    assert labels.tolist() == [cells["ab"[i]][y, x] for i, (y, x) in zip(image, position, strict=True)]
    renamed = dataclasses.replace(cache, images=["b", "a"])
    np.testing.assert_array_equal(held_labels.of_rows(1 - image, position, renamed, tmp_path), labels)


def test_an_altered_shard_is_refused(tmp_path):
    unlabelled_world.write(tmp_path)
    path = tmp_path / "features/unlabelled/shard-00001.h5"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(index.ShardError, match="shard-00001.h5: altered since it was written"):
        sample(tmp_path)
