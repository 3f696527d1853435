"""The upper bound that reads labels of unseen classes: it finds their real features, and trains as zero-shot learning does."""

import numpy as np
import pytest
import torch

from tests import pixel_world, quick_sections, unlabelled_world
from zs3 import feature_oracle
from zs3.classifiers import calibration, classifier
from zs3.features import pools

CPU = torch.device("cpu")
UNSEEN = pixel_world.UNSEEN


def draw(folder, classes=UNSEEN, per_class=1000, seed=0):
    return feature_oracle.sample(
        folder / "features/unlabelled", folder / "data/masks/unlabelled", classes, per_class, seed
    )


def as_set(features):
    return {row.tobytes() for row in features}


def test_finds_the_features_of_the_classes_asked_for_by_the_held_masks(tmp_path):
    truth = unlabelled_world.write(tmp_path)
    found = draw(tmp_path)
    assert np.unique(found["label"]).tolist() == list(UNSEEN) == sorted(UNSEEN)
    assert (np.diff(found["label"].astype(int)) >= 0).all()
    for label in UNSEEN:
        expected = truth["features"][truth["label"] == label]
        got = found["features"][found["label"] == label]
        assert len(got) == len(expected) > 10 and as_set(got) == as_set(expected)
    assert (found["weight"] == np.float32(36 / 20)).all()


def test_draws_at_most_so_many_of_a_class_and_the_same_ones_each_time(tmp_path):
    unlabelled_world.write(tmp_path)
    everything, some = draw(tmp_path), draw(tmp_path, per_class=7)
    assert np.bincount(some["label"])[list(UNSEEN)].tolist() == [7, 7]
    assert len(as_set(some["features"])) == 14 and as_set(some["features"]) < as_set(everything["features"])
    again = draw(tmp_path, per_class=7)
    assert all(np.array_equal(some[name], again[name]) for name in some)
    assert as_set(draw(tmp_path, per_class=7, seed=1)["features"]) != as_set(some["features"])
    alone = draw(tmp_path, classes=UNSEEN[1:], per_class=7)
    assert np.array_equal(alone["features"], some["features"][7:])


@pytest.mark.parametrize(("n_images", "labels", "classes"), [(0, (0,), UNSEEN), (4, (0, 1), UNSEEN), (4, (0, 5), ())])
def test_where_there_is_none_there_is_none(tmp_path, n_images, labels, classes):
    unlabelled_world.write(tmp_path, n_images, labels)
    found = draw(tmp_path, classes=classes)
    assert found["features"].shape == (0, pixel_world.DIM) and len(found["label"]) == len(found["weight"]) == 0


def test_in_the_part_of_a_generator_it_gives_features_of_the_class_asked_for(tmp_path):
    truth = unlabelled_world.write(tmp_path)
    source = feature_oracle.RealFeatures(pools.select(draw(tmp_path), UNSEEN), torch.zeros(0))
    wanted = torch.tensor([9, 5, 5, 9, 9])
    given = source.sample(wanted, torch.Generator().manual_seed(0))
    assert given.shape == (5, pixel_world.DIM) and given.dtype == torch.float32
    for feature, label in zip(given, wanted.tolist(), strict=True):
        assert feature.half().numpy().tobytes() in as_set(truth["features"][truth["label"] == label])


def test_training_on_real_features_of_unseen_classes_learns_them(tmp_path):
    unlabelled_world.write(tmp_path, n_images=30)
    source = feature_oracle.RealFeatures(pools.select(draw(tmp_path), UNSEEN), torch.zeros(0))
    real = pools.select(pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 60)), pixel_world.SEEN)
    options = quick_sections.classifier_options(epochs=10, class_balance=0.0)
    *_, (_, model) = classifier.fit(pixel_world.start(), real, source, UNSEEN, options)
    truth = np.repeat(np.arange(len(pixel_world.CLASSES)), 100)
    x = torch.from_numpy(pixel_world.features(truth, seed=5)).float()
    right = model.labels[model.logits(x).argmax(1)].numpy() == truth
    assert min(right[truth == label].mean() for label in UNSEEN) > 0.9 and right.mean() > 0.95


def both(folder, n_images=12):
    """Rows of the training images and, with their true labels, of the unlabelled ones."""
    unlabelled_world.write(folder, n_images)
    sampled = pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 60), seed=50)
    return sampled, draw(folder, range(len(pixel_world.CLASSES)))


def test_cross_validation_scores_images_that_it_did_not_learn_from_and_all_of_them_once(tmp_path, monkeypatch):
    sampled, held = both(tmp_path)
    learnt, scored = [], []
    fit, figures_by_bias = classifier.fit, calibration.figures_by_bias

    def spy(start, real, source, unseen, options):
        assert real.labels.tolist() == list(pixel_world.SEEN) and list(unseen) == list(UNSEEN)
        learnt.append(as_set(real.features.numpy()) | as_set(source.pool.features.numpy()))
        return fit(start, real, source, unseen, options)

    def count(model, table, biases):
        scored.append(table)
        return figures_by_bias(model, table, biases)

    monkeypatch.setattr(classifier, "fit", spy)
    monkeypatch.setattr(calibration, "figures_by_bias", count)
    options = quick_sections.classifier_options()
    done = dict(feature_oracle.cross_validate(sampled, held, pixel_world.start(), UNSEEN, options, CPU))
    assert list(done) == ["part 1 of the images", "part 2 of the images"] and options.calibration.folds == 2
    assert all(len(scores) == len(options.calibration.biases) and max(scores) > 50 for scores in done.values())
    for known, table in zip(learnt, scored, strict=True):
        assert not known & as_set(table["features"])
    everything = [row for table in scored for row in table["features"]]
    assert len(everything) == len(sampled["features"]) + len(held["features"])
    assert as_set(everything) == as_set(sampled["features"]) | as_set(held["features"])
    for table in (sampled, held):
        for image in np.unique(table["image"]):
            rows = as_set(table["features"][table["image"] == image])
            assert sum(bool(rows & as_set(part["features"])) for part in scored) == 1


def test_a_part_beside_which_no_unseen_class_shows_is_left_out(tmp_path):
    sampled, held = both(tmp_path, n_images=1)
    assert not list(
        feature_oracle.cross_validate(
            sampled, held, pixel_world.start(), UNSEEN, quick_sections.classifier_options(), CPU
        )
    )


def test_weights_of_a_drawn_class_stand_for_all_its_rows(tmp_path):
    unlabelled_world.write(tmp_path)
    everything, some = draw(tmp_path), draw(tmp_path, per_class=7)
    for label in UNSEEN:
        total, drawn = (table["weight"][table["label"] == label].sum() for table in (everything, some))
        assert drawn == pytest.approx(total) and (some["label"] == label).sum() == 7
