"""The upper bound that reads labels of unseen classes: it finds their real features, and trains as zero-shot learning does."""

import numpy as np
import pytest
import torch

from tests import pixel_world, unlabelled_world
from zs3 import feature_oracle, folds
from zs3.classifiers import classifier
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
    options = pixel_world.classifier_options(epochs=10, class_balance=0.0)
    *_, (_, model) = classifier.fit(pixel_world.start(), real, source, UNSEEN, options)
    truth = np.repeat(np.arange(len(pixel_world.CLASSES)), 100)
    x = torch.from_numpy(pixel_world.features(truth, seed=5)).float()
    right = model.labels[model.logits(x).argmax(1)].numpy() == truth
    assert min(right[truth == label].mean() for label in UNSEEN) > 0.9 and right.mean() > 0.95


def test_rehearsals_train_on_held_out_features_of_images_that_play_unlabelled(monkeypatch):
    table = pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 60))
    drawn = folds.draw(pixel_world.presence(table), pixel_world.SEEN, 2, 2, "images", seed=0)
    given = []
    fit = classifier.fit

    def spy(start, real, source, unseen, options):
        given.append((real, source.pool, list(unseen)))
        return fit(start, real, source, unseen, options)

    monkeypatch.setattr(classifier, "fit", spy)
    options = pixel_world.classifier_options()
    done = list(feature_oracle.rehearse(drawn, table, pixel_world.start(), options, CPU))
    assert [fold for fold, _ in done] == drawn
    assert all(len(scores) == len(options.calibration.biases) and max(scores) > 60 for _, scores in done)
    for fold, (real, pool, unseen) in zip(drawn, given, strict=True):
        assert unseen == list(fold.held_out) == pool.labels.tolist()
        assert not set(real.labels.tolist()) & set(unseen)
        evaluated = table["features"][fold.evaluation[table["image"]]]
        assert not as_set(evaluated) & (as_set(pool.features.numpy()) | as_set(real.features.numpy()))
