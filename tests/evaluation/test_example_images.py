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
    """Return a mask of 100 pixels in which label k covers as many of them as `_k` says, background the rest."""
    labels = [int(name[1:]) for name, count in shares.items() for _ in range(count)]
    return np.array(labels + [0] * (100 - len(labels)), np.uint8).reshape(10, 10)


# Two classes unseen; of 5 there is little anywhere.
MASKS = {
    "a": mask(_3=50),
    "b": mask(_3=20, _5=3),
    "c": mask(_3=19, _1=30),
    "d": mask(_5=7),
    "e": mask(_1=90),
    "f": mask(_2=10, _255=90),
    "g": mask(_3=21),
    "h": mask(),
}


def shuffled(seed, images=MASKS):
    """The documented order: by the SHA-256 of the seed and the name."""
    return sorted(images, key=lambda image: hashlib.sha256(f"{seed} {image}".encode()).hexdigest())


def choose(masks=MASKS, unseen=UNSEEN, **changes):
    return example_images.choose(masks.items(), unseen, options(**changes))


@pytest.mark.parametrize("seed", range(6))
def test_the_rule_as_it_is_documented(seed):
    large = [image for image in shuffled(seed) if image in "abg"]  # 20 of 100 pixels or more are of class 3.
    without = [image for image in shuffled(seed) if image in "efh"]
    assert choose(seed=seed, images_per_class=2, seen_images=2) == [*large[:2], "d", *without[:2]]
    assert choose(seed=seed, images_per_class=9, seen_images=9) == [*large, "d", *without]


def test_seeds_show_other_images():
    assert len({tuple(choose(seed=seed)) for seed in range(20)}) > 5


def test_an_image_of_two_classes_is_shown_once():
    masks = {"x": mask(_3=40, _5=40), "y": mask(_1=100)}
    assert choose(masks) == ["x", "y"]


def test_without_unseen_classes_or_images_of_them():
    assert set(choose(unseen=(), seen_images=3)) < set(MASKS) and len(choose(unseen=(), seen_images=3)) == 3
    assert choose({"e": MASKS["e"]}, seen_images=0) == []
    assert choose({}) == []


labels = st.lists(st.sampled_from([0, 1, 3, 5, 255]), min_size=8, max_size=8)
worlds = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), labels, max_size=8)


@settings(deadline=None)
@given(world=worlds, seed=st.integers(0, 3), per_class=st.integers(1, 3))
def test_every_unseen_class_that_occurs_is_covered(world, seed, per_class):
    masks = {image: np.array(values, np.uint8).reshape(2, 4) for image, values in world.items()}
    chosen = choose(masks, seed=seed, images_per_class=per_class)
    assert len(set(chosen)) == len(chosen) <= 2 * per_class + 1
    for label in UNSEEN:
        assert any(label in world[image] for image in chosen) == any(label in values for values in world.values())


@settings(deadline=None)
@given(world=worlds, seed=st.integers(0, 3))
def test_neither_the_order_of_the_list_nor_images_without_the_class_move_a_choice(world, seed):
    masks = {image: np.array(values, np.uint8).reshape(2, 4) for image, values in world.items()}
    chosen = choose(masks, seed=seed, seen_images=0)
    assert choose(dict(reversed(masks.items())), seed=seed, seen_images=0) == chosen
    fewer = {image: labels for image, labels in masks.items() if np.isin(labels, UNSEEN).any()}
    assert choose(fewer, seed=seed, seen_images=0) == chosen


def test_names_of_seen_labels_do_not_matter():
    other = {image: np.where(labels == 1, 2, labels).astype(np.uint8) for image, labels in MASKS.items()}
    assert choose(other) == choose()
