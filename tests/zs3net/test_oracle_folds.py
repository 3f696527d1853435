"""The upper bound that reads labels of unseen classes: it finds their real features, and trains as zero-shot learning does."""

import functools

import numpy as np
import pytest
import torch

from tests.support import pixel_world, quick_sections, unlabelled_world
from zeroshot.cache import held_labels, pools
from zeroshot.zs3net import feature_oracle, feature_source
from zeroshot.zs3net.classifiers import fine_tuning
from zeroshot.zs3net.cross_validation import bias_metrics, calibration

CPU = torch.device("cpu")
UNSEEN = pixel_world.UNSEEN


def draw(folder, classes=UNSEEN, per_class=1000, seed=0):
    return held_labels.sample(
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


def test_real_features_are_a_source_that_gives_features_of_the_class_asked_for(tmp_path):
    truth = unlabelled_world.write(tmp_path)
    source = feature_source.RealFeatures(pools.select(draw(tmp_path), UNSEEN), CPU)
    wanted = torch.tensor([9, 5, 5, 9, 9])
    given = source.sample(wanted, torch.Generator().manual_seed(0))
    assert given.shape == (5, pixel_world.DIM) and given.dtype == torch.float32
    for feature, label in zip(given, wanted.tolist(), strict=True):
        assert feature.half().numpy().tobytes() in as_set(truth["features"][truth["label"] == label])
    square = source.sample(wanted[:4].reshape(2, 2), torch.Generator().manual_seed(0))
    assert square.shape == (2, 2, pixel_world.DIM)
    assert list(source.fit(source.pool)) == [] and source.device == CPU


def test_training_on_real_features_of_unseen_classes_learns_them(tmp_path):
    unlabelled_world.write(tmp_path, n_images=30)
    source = feature_source.RealFeatures(pools.select(draw(tmp_path), UNSEEN), CPU)
    real = pools.select(pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 60)), pixel_world.SEEN)
    options = quick_sections.classifier_options(epochs=10, class_balance=0.0)
    *_, (_, model) = fine_tuning.fit(pixel_world.start(), real, source, UNSEEN, options)
    truth = np.repeat(np.arange(len(pixel_world.CLASSES)), 100)
    x = torch.from_numpy(pixel_world.features(truth, seed=5)).float()
    right = model.labels[model.logits(x).argmax(1)].numpy() == truth
    assert min(right[truth == label].mean() for label in UNSEEN) > 0.9 and right.mean() > 0.95


def both(folder, n_images=12):
    """Rows of the training images and, with their true labels, of the unlabelled ones, and the ids of these images."""
    unlabelled_world.write(folder, n_images)
    sampled = pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 60), seed=50)
    held = draw(folder, range(len(pixel_world.CLASSES)))
    return sampled, held, ([f"train{number}" for number in range(80)], [f"image{number}" for number in range(n_images)])


def cross_validate(sampled, held, images, **changes):
    """Return the name of each part that is scored, and its hIoU by bias."""
    options = options_of(**changes)
    settings = options.calibration
    train_part = functools.partial(
        feature_oracle.train_part,
        sampled=sampled,
        held=held,
        start=pixel_world.start(),
        unseen=UNSEEN,
        options=options,
        device=CPU,
    )
    parts = feature_oracle.parts(sampled, held, images, UNSEEN, settings.folds, options.seed)
    found = calibration.calibrate(pixel_world.start(), parts, train_part, settings.biases, key="a.b")
    names = dict.fromkeys(row["held_out"] for row in found.table)
    return {name: [row["hIoU"] for row in found.table if row["held_out"] == name] for name in names}


def options_of(folds=2, **changes):
    settings = quick_sections.classifier_section()["calibration"] | {"folds": folds}
    return quick_sections.classifier_options(calibration=settings, **changes)


@pytest.fixture
def spied(monkeypatch):
    """What classifiers learn from, seen and unseen, and what they are scored on, of each part that is scored."""
    learnt, scored = [], []
    fit, by_bias = fine_tuning.fit, bias_metrics.by_bias

    def fit_and_note(start, real, source, unseen, options):
        learnt.append((real, source.pool, list(unseen)))
        return fit(start, real, source, unseen, options)

    def score_and_note(model, table, biases):
        scored.append(table)
        return by_bias(model, table, biases)

    monkeypatch.setattr(fine_tuning, "fit", fit_and_note)
    monkeypatch.setattr(bias_metrics, "by_bias", score_and_note)
    return learnt, scored


def check_apart(learnt, scored):
    """Raise if something is scored that was learnt from."""
    for (real, pool, _), table in zip(learnt, scored, strict=True):
        assert not (as_set(real.features.numpy()) | as_set(pool.features.numpy())) & as_set(table["features"])


def test_cross_validation_scores_images_that_it_did_not_learn_from_and_all_of_them_once(tmp_path, spied):
    sampled, held, images = both(tmp_path)
    done = cross_validate(sampled, held, images)
    assert list(done) == ["part 1 of the images", "part 2 of the images"]
    biases = options_of().calibration.biases
    assert all(len(scores) == len(biases) and max(scores) > 50 for scores in done.values())
    learnt, scored = spied
    assert all(unseen == list(UNSEEN) and real.labels.tolist() == list(pixel_world.SEEN) for real, _, unseen in learnt)
    check_apart(learnt, scored)
    everything = [row for table in scored for row in table["features"]]
    assert len(everything) == len(sampled["features"]) + len(held["features"])
    assert as_set(everything) == as_set(sampled["features"]) | as_set(held["features"])
    for table in (sampled, held):
        for image in np.unique(table["image"]):
            own = as_set(table["features"][table["image"] == image])
            assert sum(bool(own & as_set(part["features"])) for part in scored) == 1


def test_an_image_in_both_lists_is_in_one_part_and_its_seen_classes_are_scored_once(tmp_path, spied):
    """As with data.exclude: pixels, where an image is in train without its unseen pixels."""
    sampled, held, (ids, _) = both(tmp_path)
    shared = [f"train{number}" for number in range(12)]
    cross_validate(sampled, held, (ids, shared))
    learnt, scored = spied
    check_apart(learnt, scored)
    everything = as_set(row for table in scored for row in table["features"])
    is_unseen = np.isin(held["label"], UNSEEN)
    assert everything == as_set(sampled["features"]) | as_set(held["features"][is_unseen])
    for number in range(12):
        copies = [table["features"][table["image"] == number] for table in (sampled, held)]
        own = as_set(row for rows in copies for row in rows)
        assert sum(bool(own & as_set(part["features"])) for part in scored) == 1


def test_other_views_are_learnt_from_and_not_scored(tmp_path, spied):
    sampled, held, images = both(tmp_path)
    sampled["view"][::3] = 1
    cross_validate(sampled, held, images)
    learnt, scored = spied
    other = as_set(sampled["features"][::3])
    assert not any(other & as_set(table["features"]) for table in scored)
    assert all(other & as_set(real.features.numpy()) for real, _, _ in learnt)


@pytest.mark.parametrize(
    ("n_train", "n_unlabelled", "folds", "n_scored"),
    [(80, 1, 2, 0), (1, 4, 3, 2), (80, 2, 3, 2), (80, 2, 90, 2), (80, 12, 1, 2)],
)
def test_parts_that_show_nothing_to_score_or_to_learn_are_left_out(tmp_path, n_train, n_unlabelled, folds, n_scored):
    sampled, held, images = both(tmp_path, n_unlabelled)
    few = {name: column[sampled["image"] < n_train] for name, column in sampled.items()}
    done = cross_validate(few, held, images, folds=folds, epochs=1, steps_per_epoch=2)
    assert len(done) == n_scored and all(np.isfinite(scores).all() for scores in done.values())


def test_a_class_of_a_single_image_is_left_out_where_it_would_be_scored(tmp_path, spied):
    sampled, held, images = both(tmp_path)
    rare = (held["label"] == UNSEEN[0]) & (held["image"] != held["image"][held["label"] == UNSEEN[0]][0])
    cross_validate(sampled, {name: column[~rare] for name, column in held.items()}, images)
    learnt, scored = spied
    assert sorted(unseen for _, _, unseen in learnt) == [list(UNSEEN), [UNSEEN[1]]]
    assert [set(table["label"].tolist()) & set(UNSEEN) for table in scored] == [{UNSEEN[1]}] * 2


def test_weights_of_a_drawn_class_stand_for_all_its_rows(tmp_path):
    unlabelled_world.write(tmp_path)
    everything, some = draw(tmp_path), draw(tmp_path, per_class=7)
    for label in UNSEEN:
        total, drawn = (table["weight"][table["label"] == label].sum() for table in (everything, some))
        assert drawn == pytest.approx(total) and (some["label"] == label).sum() == 7
