import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import quick_sections
from zeroshot.base import params
from zeroshot.evaluation import example_images

UNSEEN = (3, 5)


def options(**changes):
    return params.build(quick_sections.visualise_section(min_share=0.2, **changes), example_images.Params, "visualise")


def mask(**shares):
    """Return a mask of 100 pixels with `_k` pixels of label k each; the other pixels are background."""
    labels = [int(name[1:]) for name, count in shares.items() for _ in range(count)]
    return np.array(labels + [0] * (100 - len(labels)), np.uint16).reshape(10, 10)


# Classes 3 and 5 are unseen; class 5 covers few pixels in every image.
MASKS = {
    "a": mask(_3=50),
    "b": mask(_3=20, _5=3),
    "c": mask(_3=19, _1=30),
    "d": mask(_5=7),
    "e": mask(_1=90),
    "f": mask(_2=10, _65535=90),
    "g": mask(_3=21),
    "h": mask(),
}


def shuffled(seed, images=MASKS):
    """Return the images in the documented order, by the SHA-256 of seed and name."""
    return sorted(images, key=lambda image: hashlib.sha256(f"{seed} {image}".encode()).hexdigest())


def choose(masks=MASKS, unseen=UNSEEN, **changes):
    return example_images.choose(masks.items(), unseen, options(**changes))


@pytest.mark.parametrize("seed", range(6))
def test_choice_follows_the_documented_rule(seed):
    large = [image for image in shuffled(seed) if image in "abg"]  # At least 20 of 100 pixels have class 3.
    without = [image for image in shuffled(seed) if image in "efh"]
    assert choose(seed=seed, images_per_class=2, seen_images=2) == [*large[:2], "d", *without[:2]]
    assert choose(seed=seed, images_per_class=9, seen_images=9) == [*large, "d", *without]


def test_other_seeds_choose_other_images():
    assert len({tuple(choose(seed=seed)) for seed in range(20)}) > 5


def test_image_of_two_unseen_classes_is_chosen_once():
    masks = {"x": mask(_3=40, _5=40), "y": mask(_1=100)}
    assert choose(masks) == ["x", "y"]


def test_choice_without_unseen_classes_or_images_of_them():
    assert set(choose(unseen=(), seen_images=3)) < set(MASKS) and len(choose(unseen=(), seen_images=3)) == 3
    assert choose({"e": MASKS["e"]}, seen_images=0) == []
    assert choose({}) == []


labels = st.lists(st.sampled_from([0, 1, 3, 5, 65535]), min_size=8, max_size=8)
datasets = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), labels, max_size=8)


@settings(deadline=None)
@given(dataset=datasets, seed=st.integers(0, 3), per_class=st.integers(1, 3))
def test_every_unseen_class_that_occurs_has_an_image(dataset, seed, per_class):
    masks = {image: np.array(values, np.uint16).reshape(2, 4) for image, values in dataset.items()}
    chosen = choose(masks, seed=seed, images_per_class=per_class)
    assert len(set(chosen)) == len(chosen) <= 2 * per_class + 1
    for label in UNSEEN:
        assert any(label in dataset[image] for image in chosen) == any(label in values for values in dataset.values())


@settings(deadline=None)
@given(dataset=datasets, seed=st.integers(0, 3))
def test_choice_is_invariant_to_list_order_and_to_images_without_unseen_classes(dataset, seed):
    masks = {image: np.array(values, np.uint16).reshape(2, 4) for image, values in dataset.items()}
    chosen = choose(masks, seed=seed, seen_images=0)
    assert choose(dict(reversed(masks.items())), seed=seed, seen_images=0) == chosen
    fewer = {image: labels for image, labels in masks.items() if np.isin(labels, UNSEEN).any()}
    assert choose(fewer, seed=seed, seen_images=0) == chosen


def test_choice_does_not_depend_on_seen_labels():
    other = {image: np.where(labels == 1, 2, labels).astype(np.uint16) for image, labels in MASKS.items()}
    assert choose(other) == choose()
