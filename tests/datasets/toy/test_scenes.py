"""The generated images: classes, masks, colours and outlines of pebbles."""

import collections

import numpy as np
import PIL.Image
import pytest

from tests.support import small_toy
from zeroshot.base import params
from zeroshot.datasets.toy import pebbles, scenes
from zeroshot.images import label_ids


def test_every_combination_of_hue_and_pattern_is_one_class():
    names = scenes.class_names()
    assert names[0] == "background"
    assert len(set(names)) == len(names) == 1 + len(scenes.HUES) * len(scenes.PATTERNS)
    assert ["-".join(scenes.attributes(label)) for label in range(1, len(names))] == list(names[1:])
    assert all(name == name.lower() and len(name.split()) == 1 for name in names)


@pytest.mark.parametrize("max_objects", [1, 2, 3, 4])
def test_classes_and_counts_are_balanced_in_every_list(max_objects):
    n_classes = len(scenes.class_names()) - 1
    label_lists = [
        scenes.draw_labels(small_toy.settings(max_objects=max_objects), "val", index)
        for index in range(n_classes * max_objects)
    ]
    counts = collections.Counter(map(len, label_lists))
    assert counts == {n: n_classes for n in range(1, max_objects + 1)}
    class_counts = collections.Counter(label for labels in label_lists for label in labels)
    assert set(class_counts) == set(range(1, n_classes + 1))
    assert max(class_counts.values()) - min(class_counts.values()) <= 1


def test_image_depends_only_on_seed_split_and_index():
    image, mask = scenes.draw(small_toy.settings(), "train", 4)
    again, mask_again = scenes.draw(small_toy.settings(n_train=900, n_val=1, sentences=9), "train", 4)
    assert np.array_equal(image, again) and np.array_equal(mask, mask_again)
    for other in (
        scenes.draw(small_toy.settings(seed=4), "train", 4),
        scenes.draw(small_toy.settings(), "val", 4),
        scenes.draw(small_toy.settings(), "train", 5),
    ):
        assert not np.array_equal(image, other[0])


@pytest.mark.parametrize("size", [16, 64, 97])
def test_masks_contain_the_drawn_labels_with_borders(size):
    for index in range(12):
        image, mask = scenes.draw(small_toy.settings(image_size=size), "train", index)
        assert image.shape == (size, size, 3) and image.dtype == np.uint8
        assert mask.shape == (size, size) and mask.dtype == np.uint16
        labels = set(scenes.draw_labels(small_toy.settings(image_size=size), "train", index))
        assert set(np.unique(mask)) <= labels | {label_ids.BACKGROUND, label_ids.IGNORE_INDEX}
        if size == 64:
            assert labels <= set(np.unique(mask))
            across = (
                np.stack([mask[:, :-1].ravel(), mask[:, 1:].ravel()]),
                np.stack([mask[:-1].ravel(), mask[1:].ravel()]),
            )
            for one, other in across:
                touching = (one != other) & (one != label_ids.IGNORE_INDEX) & (other != label_ids.IGNORE_INDEX)
                assert not touching.any(), "two labels meet without a border"


def test_colours_separate_objects_from_background_and_hues_from_each_other():
    # A hue's angle is the mean over its saturated pixels: the figures on a pebble are white or black.
    angles = collections.defaultdict(list)
    for index in range(40):
        image, mask = scenes.draw(small_toy.settings(), "train", index)
        hsv = np.array(PIL.Image.fromarray(image).convert("HSV")).astype(float)
        assert np.mean(hsv[mask == label_ids.BACKGROUND, 1] > 128) < 0.05
        for label in set(np.unique(mask)) - {label_ids.BACKGROUND, label_ids.IGNORE_INDEX}:
            pixels = hsv[mask == label]
            paint = pixels[(pixels[:, 1] > 128) & (pixels[:, 2] > 110)]
            assert len(paint) > 0.2 * len(pixels)
            angles[scenes.attributes(int(label))[0]].append(np.exp(2j * np.pi * paint[:, 0] / 256).mean())
    centres = {hue: np.angle(np.mean(turns)) for hue, turns in angles.items()}
    assert set(centres) == set(scenes.HUES)
    for hue, turns in angles.items():
        for turn in turns:
            assert hue == min(centres, key=lambda name: abs(np.angle(turn * np.exp(-1j * centres[name]))))


def test_outline_follows_the_fourier_series():
    rng = np.random.default_rng(0)
    pebble = pebbles.shape(rng, np.array([30.0, 34.0]), 14, 7, np.full((2, 3), 0.5), "plain")
    canvas, mask = np.zeros((256, 256, 3)), np.zeros((256, 256), np.uint16)
    pebbles.paint(canvas, mask, pebble)
    for angle in np.linspace(0, 2 * np.pi, 90):
        radius = 14 * (1 + sum(abs(w) * np.cos(k * angle + np.angle(w)) for k, w in enumerate(pebble.waves, 2)))
        for offset, expected in ((-2.5, 7), (0, label_ids.IGNORE_INDEX), (2.5, 0)):
            column = int((30 + (radius + offset) * np.cos(angle)) * 4)
            row = int((34 + (radius + offset) * np.sin(angle)) * 4)
            assert mask[row, column] == expected


def test_bare_pebble_changes_the_image_but_not_the_mask():
    pebble = pebbles.shape(np.random.default_rng(0), np.array([2.0, 60.0]), 9, 0, np.full((2, 3), 0.5), "checked")
    canvas, mask = np.zeros((64, 64, 3)), np.full((64, 64), 9, np.uint16)
    pebbles.paint(canvas, mask, pebble)
    assert canvas.any() and (mask == 9).all()


def test_settings_out_of_range_are_refused_with_their_key():
    with pytest.raises(params.ParamsError) as error:
        params.build(small_toy.SETTINGS | {"image_size": 8, "max_objects": 0}, scenes.Params, "toy")
    assert "toy.image_size" in str(error.value) and "toy.max_objects" in str(error.value)
