import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import pixel_world
from zeroshot.base import errors
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers.cross_validation import folds


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(1, 59), min_size=2, max_size=30), st.integers(1, 9), st.integers(1, 8), st.integers(0, 1000))
def test_class_sets_differ_and_are_disjoint_while_there_are_enough_classes(labels, n_sets, size, seed):
    sets = folds.class_sets(sorted(labels), n_sets, size, seed)
    size = min(size, len(labels) // 2)
    assert len(sets) == len(set(sets)) == min(n_sets, math.comb(len(labels), size))
    assert all(len(classes) == size and set(classes) <= labels and list(classes) == sorted(classes) for classes in sets)
    first = [label for classes in sets[: len(labels) // size] for label in classes]
    assert len(first) == len(set(first))
    assert all(type(label) is int for label in first)


def test_class_sets_depend_on_the_seed_and_not_on_label_order():
    labels = list(range(1, 20))
    one = folds.class_sets(labels, 3, 4, seed=5)
    assert folds.class_sets(labels[::-1], 3, 4, seed=5) == one
    assert folds.class_sets(labels, 3, 4, seed=6) != one


def test_the_first_class_sets_do_not_depend_on_their_number():
    assert folds.class_sets(range(1, 20), 9, 4, seed=0)[:2] == folds.class_sets(range(1, 20), 2, 4, seed=0)


@pytest.mark.parametrize("labels", [[], [4]])
def test_too_few_classes_raise_an_error(labels):
    with pytest.raises(ValueError, match=f"needs 2 seen classes besides the background, found {len(labels)}"):
        folds.class_sets(labels, 2, 2, seed=0)


def random_presence(n_images=300, n_classes=9, seed=0):
    """Return the presence of classes in images: the background and up to three other classes; no image has class 8."""
    rng = np.random.default_rng(seed)
    presence = np.zeros((n_images, n_classes), bool)
    presence[:, 0] = True
    for image in presence:
        image[rng.integers(1, n_classes - 1, 3)] = True
    return presence


def make_split(n_classes, exclude="images"):
    """Return a split of classes a, b, ..., all of them seen."""
    return splits.Split(tuple("abcdefghi"[:n_classes]), tuple(range(n_classes)), (), exclude, (), (), ())


def draw(exclude="images", presence=None, seed=0):
    return folds.draw(random_presence() if presence is None else presence, make_split(9, exclude), 4, 2, seed)


def test_held_out_classes_have_images_and_are_not_the_background():
    held_out = {label for fold in draw() for label in fold.held_out}
    assert len(held_out) > 4 and held_out <= set(range(1, 8))


@pytest.mark.parametrize("exclude", ["images", "pixels"])
def test_roles_of_images_follow_their_classes(exclude):
    presence = random_presence()
    for fold in draw(exclude):
        shows_held_out = presence[:, list(fold.held_out)].any(axis=1)
        assert not (fold.evaluation & (fold.train | fold.unlabelled)).any()
        assert (fold.evaluation | fold.train | fold.unlabelled).all()
        assert not fold.unlabelled[~shows_held_out].any()
        assert fold.train[shows_held_out].any() == (exclude == "pixels")
        # The shares of a half and a fifth are binomial: allow four standard deviations.
        for group, share in ((shows_held_out, 0.5), (~shows_held_out, folds.EVALUATION_SHARE)):
            deviation = math.sqrt(group.sum() * share * (1 - share))
            assert abs(fold.evaluation[group].sum() - share * group.sum()) < 4 * deviation


def test_rare_classes_train_and_evaluate():
    """Each class has two images with no other class: one of them must evaluate and the other must not, for any seed."""
    presence = np.repeat(np.eye(9, dtype=bool), 2, axis=0)
    for seed in range(20):
        for fold in draw(presence=presence, seed=seed):
            for label in range(9):
                has_label = presence[:, label]
                not_evaluated = fold.unlabelled if label in fold.held_out else fold.train
                assert fold.evaluation[has_label].sum() == not_evaluated[has_label].sum() == 1


def test_training_rows_have_training_images_and_the_given_labels():
    sampled = pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 40))
    fold = folds.draw(
        pixel_world.presence(sampled), dataclasses.replace(pixel_world.split(), exclude="pixels"), 1, 2, 0
    )[0]
    chosen = folds.training_rows(fold, sampled, [0, 3])
    expected = [i for i, image in enumerate(sampled["image"]) if fold.train[image] and sampled["label"][i] in (0, 3)]
    for name, column in sampled.items():
        np.testing.assert_array_equal(chosen[name], column[expected])


def test_evaluation_rows_have_the_total_weight_of_their_class():
    sampled = pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 40))
    fold = folds.draw(pixel_world.presence(sampled), pixel_world.split(), 1, 2, 0)[0]
    labels = [0, 3, *fold.held_out]
    chosen = folds.evaluation_rows(fold, sampled, labels)
    assert set(chosen["label"].tolist()) == set(labels)
    assert fold.evaluation[chosen["image"]].all() and len(chosen["label"]) < (np.isin(sampled["label"], labels)).sum()
    for label in labels:
        whole = sampled["weight"][sampled["label"] == label].sum()
        assert chosen["weight"][chosen["label"] == label].sum() == pytest.approx(whole)


def test_a_fold_without_training_images_raises_an_error_with_the_remedy():
    everywhere = np.ones((20, 6), bool)
    with pytest.raises(errors.UserError, match=r"all show one of the held-out classes .*data.exclude: pixels"):
        folds.draw(everywhere, make_split(6), 2, 2, 0)
    assert all(fold.train.any() for fold in folds.draw(everywhere, make_split(6, "pixels"), 2, 2, 0))


def test_a_fold_is_named_after_its_held_out_classes_and_lists_the_seen_ones():
    for fold in draw():
        assert fold.name == " ".join("abcdefghi"[label] for label in fold.held_out)
        assert fold.seen([8, *fold.held_out, 0]) == [8, 0]


@pytest.mark.parametrize(("n_classes", "held_out"), [(2, ""), (4, "lower the number, ")])
def test_errors_name_the_keys_of_the_caller(n_classes, held_out):
    everywhere = np.ones((6, n_classes), bool)
    with pytest.raises(errors.UserError, match=f"{held_out}.*or leave it out$"):
        folds.draw(everywhere, make_split(n_classes), 2, 1, 0, folds.Keys("the number", "leave it out"))
