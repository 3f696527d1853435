import collections
import dataclasses
import math
import types

import numpy as np
import pytest
import torch
from torch.utils import data

from tests.support import blocks
from zeroshot.datasets import splits
from zeroshot.images import image_files, label_ids
from zeroshot.networks import training_images

folder = blocks.folder


def test_item_depends_on_its_key_only(folder):
    first, second = (blocks.dataset(folder) for _ in range(2))
    keys = [(0, 0, 1), (0, 1, 1), (1, 0, 1), (3, 5, 2)]
    items = [first[key] for key in keys]
    for key, (image, target) in reversed(list(zip(keys, items, strict=True))):
        again = second[key]
        assert torch.equal(again[0], image) and torch.equal(again[1], target)
        assert image.shape == (3, 32, 32) and image.dtype == torch.uint8
        assert target.shape == (32, 32) and target.dtype == torch.uint8
    # One image at three positions of the training has three different views.
    assert len({image.numpy().tobytes() for image, _ in items[:3]}) == 3
    assert not torch.equal(blocks.dataset(folder, seed=1)[keys[0]][0], items[0][0])


def test_targets_are_output_indices_of_seen_classes(folder):
    plain = {**blocks.AUGMENTATION, "crop": 64, "scales": [1, 1], "flip": 0, "blur": 0}
    dataset = blocks.dataset(folder, augmentation=plain)
    row_of = {0: 0, 2: 1, 3: 2, 4: 3, 65535: 255}
    for index, quarters in enumerate(blocks.TRAIN.values()):
        image, target = dataset[0, 0, index]
        expected = np.full((64, 64), 255)
        expected[:36, :40] = np.vectorize(row_of.get)(blocks.mask(quarters))
        np.testing.assert_array_equal(target.numpy(), expected)
        stored = image_files.read_image(folder / f"data/blocks/JPEGImages/{'abcdef'[index]}.png")
        np.testing.assert_array_equal(image[:, :36, :40].permute(1, 2, 0).numpy(), stored)


def test_unseen_labels_and_ignored_pixels_give_equal_targets(tmp_path):
    """Even if a training mask contained an unseen label, the targets would not reveal it."""
    targets = []
    for name, label in (("unseen", 1), ("ignored", 65535)):
        folder = blocks.make(tmp_path / name)
        image_files.write_mask(folder / "data/masks/train/c.png", blocks.mask((2, label, 0, 3)))
        dataset = blocks.dataset(folder)
        targets.append([dataset[0, position, 2][1] for position in range(4)])
    assert all(torch.equal(a, b) for a, b in zip(*targets, strict=True))
    assert all(target[target != 255].max() < len(blocks.SEEN) for target in targets[0])


@pytest.mark.parametrize(("n_seen", "dtype"), [(255, torch.uint8), (256, torch.uint16), (65532, torch.uint16)])
def test_targets_travel_as_the_smallest_type_and_decode_to_int64(tmp_path, n_seen, dtype):
    """The masks have the first and the last of the seen classes, and ignored pixels."""
    folder, last = blocks.make(tmp_path), n_seen + 1
    split = dataclasses.replace(
        splits.read(folder / "data/split.json"),
        classes=tuple(f"class {label}" for label in range(last + 1)),
        seen=(0, *range(3, last + 1)),
        unseen=(1, 2),
    )
    image_files.write_mask(folder / "data/masks/train/a.png", blocks.mask((0, last, 65535, 3)))
    options = blocks.options(augmentation={"crop": 64, "scales": [1, 1], "flip": 0, "blur": 0})
    dataset = training_images.TrainingImages(split, folder / "data/blocks", folder / "data/masks/train", options)
    _, batch = next(iter(data.DataLoader(dataset, batch_sampler=[[(0, 0, 0), (0, 1, 0)]])))
    assert batch.dtype == dtype and len(split.seen) == n_seen
    targets = training_images.targets(batch)
    assert targets.dtype == torch.int64
    assert targets[1].unique().tolist() == [0, 1, n_seen - 1, 65535]


def test_image_weights_are_lvis_repeat_factors(folder):
    n_images = collections.Counter(label for quarters in blocks.TRAIN.values() for label in set(quarters) - {65535})
    for threshold in (0.1, 0.3, 0.5, 1.0):
        repeats = []
        for quarters in blocks.TRAIN.values():
            shares = [n_images[label] / len(blocks.TRAIN) for label in set(quarters) - {65535}]
            repeats.append(max(max(1.0, math.sqrt(threshold / share)) for share in shares))
        probabilities = training_images.image_weights(blocks.dataset(folder), threshold)
        np.testing.assert_allclose(probabilities, np.array(repeats) / sum(repeats))


def test_labels_that_the_network_does_not_know_are_ignored(folder):
    """Whether they are larger than its own or lie between them, as those of train_unseen classes with data.exclude: pixels do."""
    for unknown in (4, 2):
        known = tuple(label for label in blocks.SEEN if label != unknown)
        split = dataclasses.replace(blocks.split(), seen=known)
        paths = (folder / "data/blocks", folder / "data/masks/train")
        dataset = training_images.TrainingImages(split, *paths, blocks.options())
        shown = [{*quarters} & {*known} for quarters in blocks.TRAIN.values()]
        repeats = [
            max(max(1.0, math.sqrt(0.5 * len(shown) / sum(label in other for other in shown))) for label in labels)
            for labels in shown
        ]
        weights = training_images.image_weights(dataset, 0.5)
        np.testing.assert_allclose(weights, np.array(repeats) / sum(repeats))
        encoded = torch.cat([dataset[0, 0, index][1].unique() for index in range(len(shown))])
        assert {*training_images.targets(encoded).tolist()} <= {*range(len(known)), label_ids.IGNORE_INDEX}


def test_image_weights_are_uniform_for_threshold_0(folder, monkeypatch):
    monkeypatch.setattr(image_files, "read_mask", lambda path: pytest.fail("no mask needs to be read"))
    np.testing.assert_array_equal(training_images.image_weights(blocks.dataset(folder), 0.0), np.full(6, 1 / 6))


@pytest.mark.parametrize(("n", "batch_size", "n_batches", "size"), [(10, 4, 2, 4), (8, 4, 2, 4), (3, 8, 1, 3)])
def test_batches_are_full_and_no_image_repeats_in_an_epoch(n, batch_size, n_batches, size):
    options = blocks.options(batch_size=batch_size, repeat_threshold=0)
    for epoch in range(5):
        batches = training_images.batches(np.full(n, 1 / n), epoch, options)
        assert [len(batch) for batch in batches] == [size] * n_batches
        keys = [key for batch in batches for key in batch]
        assert [key[:2] for key in keys] == [(epoch, position) for position in range(n_batches * size)]
        indices = [index for *_, index in keys]
        assert len(set(indices)) == len(indices) and set(indices) <= set(range(n))
        assert all(type(index) is int for index in indices)


def test_batches_depend_on_seed_and_epoch_only():
    probabilities = np.full(20, 0.05)

    def image_order(seed, epoch, threshold=0.0):
        options = blocks.options(seed=seed, batch_size=20, repeat_threshold=threshold)
        return tuple(index for *_, index in training_images.batches(probabilities, epoch, options)[0])

    for threshold in (0.0, 0.5):
        orders = {(seed, epoch): image_order(seed, epoch, threshold) for seed in range(3) for epoch in range(3)}
        assert len(set(orders.values())) == 9
        assert all(image_order(*key, threshold) == order for key, order in orders.items())


def test_images_are_sampled_with_their_probabilities():
    probabilities = np.array([0.1, 0.2, 0.3, 0.4])
    options = blocks.options(batch_size=4)
    counts = np.zeros(4)
    for epoch in range(500):
        for *_, index in training_images.batches(probabilities, epoch, options)[0]:
            counts[index] += 1
    # Counts are binomial; the tolerance is 4 standard deviations.
    assert (np.abs(counts - 2000 * probabilities) < 4 * np.sqrt(2000 * probabilities * (1 - probabilities))).all()


def test_without_augmentation_images_are_whole_and_unchanged(folder):
    options = types.SimpleNamespace(augmentation=None, batch_size=1, seed=0, repeat_threshold=0.0)
    only = dataclasses.replace(blocks.split(), train=blocks.split().train[:1])
    dataset = training_images.TrainingImages(only, folder / "data/blocks", folder / "data/masks/train", options)
    for key in ((0, 0, 0), (3, 5, 0)):
        image, target = dataset[key]
        expected = image_files.read_image(folder / "data/blocks/JPEGImages/a.png")
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)
        row_of = {0: 0, 2: 1, 3: 2, 4: 3, 65535: 255}
        np.testing.assert_array_equal(target.numpy(), np.vectorize(row_of.get)(blocks.mask(blocks.TRAIN["a"])))
