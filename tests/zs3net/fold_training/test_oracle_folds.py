"""The feature oracle, which reads labels of unseen classes: its samples, its feature source, its training and its folds."""

import functools

import numpy as np
import pytest
import torch

from tests.support import pixel_world, quick_sections, unlabelled_world
from zeroshot.cache import held_labels, pools
from zeroshot.pixel_classifiers.cross_validation import bias_metrics, calibration
from zeroshot.zs3net import feature_source
from zeroshot.zs3net.classifiers import fine_tuning
from zeroshot.zs3net.fold_training import oracle_folds

CPU = torch.device("cpu")
UNSEEN = pixel_world.UNSEEN


def sample_rows(folder, classes=UNSEEN, per_class=1000, seed=0):
    return held_labels.sample(
        folder / "features/unlabelled", folder / "data/masks/unlabelled", classes, per_class, seed
    )


def as_set(features):
    return {row.tobytes() for row in features}


def test_sample_has_all_features_of_the_requested_classes(tmp_path):
    truth = unlabelled_world.write(tmp_path)
    revealed = sample_rows(tmp_path)
    assert np.unique(revealed["label"]).tolist() == list(UNSEEN) == sorted(UNSEEN)
    assert (np.diff(revealed["label"].astype(int)) >= 0).all()
    for label in UNSEEN:
        expected = truth["features"][truth["label"] == label]
        actual = revealed["features"][revealed["label"] == label]
        assert len(actual) == len(expected) > 10 and as_set(actual) == as_set(expected)
    assert (revealed["weight"] == np.float32(36 / 20)).all()


def test_sample_is_bounded_per_class_and_reproducible(tmp_path):
    unlabelled_world.write(tmp_path)
    everything, some = sample_rows(tmp_path), sample_rows(tmp_path, per_class=7)
    assert np.bincount(some["label"])[list(UNSEEN)].tolist() == [7, 7]
    assert len(as_set(some["features"])) == 14 and as_set(some["features"]) < as_set(everything["features"])
    again = sample_rows(tmp_path, per_class=7)
    assert all(np.array_equal(some[name], again[name]) for name in some)
    assert as_set(sample_rows(tmp_path, per_class=7, seed=1)["features"]) != as_set(some["features"])
    alone = sample_rows(tmp_path, classes=UNSEEN[1:], per_class=7)
    assert np.array_equal(alone["features"], some["features"][7:])


@pytest.mark.parametrize(("n_images", "labels", "classes"), [(0, (0,), UNSEEN), (4, (0, 1), UNSEEN), (4, (0, 5), ())])
def test_sample_is_empty_without_images_or_classes(tmp_path, n_images, labels, classes):
    unlabelled_world.write(tmp_path, n_images, labels)
    revealed = sample_rows(tmp_path, classes=classes)
    assert revealed["features"].shape == (0, pixel_world.DIM) and len(revealed["label"]) == len(revealed["weight"]) == 0


def test_real_features_source_samples_features_of_the_given_labels(tmp_path):
    truth = unlabelled_world.write(tmp_path)
    source = feature_source.RealFeatures(pools.select(sample_rows(tmp_path), UNSEEN), CPU)
    labels_to_sample = torch.tensor([9, 5, 5, 9, 9])
    sampled_features = source.sample(labels_to_sample, torch.Generator().manual_seed(0))
    assert sampled_features.shape == (5, pixel_world.DIM) and sampled_features.dtype == torch.float32
    for feature, label in zip(sampled_features, labels_to_sample.tolist(), strict=True):
        assert feature.half().numpy().tobytes() in as_set(truth["features"][truth["label"] == label])
    square = source.sample(labels_to_sample[:4].reshape(2, 2), torch.Generator().manual_seed(0))
    assert square.shape == (2, 2, pixel_world.DIM)
    assert list(source.fit(source.pool)) == [] and source.device == CPU


def test_training_on_real_features_learns_unseen_classes(tmp_path):
    unlabelled_world.write(tmp_path, n_images=30)
    source = feature_source.RealFeatures(pools.select(sample_rows(tmp_path), UNSEEN), CPU)
    real = pools.select(pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 60)), pixel_world.SEEN)
    options = quick_sections.classifier_options(epochs=10, class_balance=0.0)
    *_, (_, model) = fine_tuning.fit(pixel_world.start(), real, source, UNSEEN, options)
    truth = np.repeat(np.arange(len(pixel_world.CLASSES)), 100)
    x = torch.from_numpy(pixel_world.features(truth, seed=5)).float()
    correct = model.labels[model.logits(x).argmax(1)].numpy() == truth
    assert min(correct[truth == label].mean() for label in UNSEEN) > 0.9 and correct.mean() > 0.95


def make_tables(folder, n_images=12):
    """Return rows of training images, rows of unlabelled images with true labels, and the image ids of both."""
    unlabelled_world.write(folder, n_images)
    sampled = pixel_world.sampled(dict.fromkeys(pixel_world.SEEN, 60), seed=50)
    revealed = sample_rows(folder, range(len(pixel_world.CLASSES)))
    images = [f"train{number}" for number in range(80)], [f"image{number}" for number in range(n_images)]
    return sampled, revealed, images


def cross_validate(sampled, revealed, images, **changes):
    """Return the hIoU by bias of each scored fold, by the name of the fold."""
    options = make_options(**changes)
    settings = options.calibration
    train_fold = functools.partial(
        oracle_folds.train_fold,
        sampled=sampled,
        revealed=revealed,
        start=pixel_world.start(),
        seen=pixel_world.SEEN,
        unseen=UNSEEN,
        options=options,
        device=CPU,
    )
    image_folds = oracle_folds.split_images(sampled, revealed, images, UNSEEN, settings.folds, options.seed)
    calibrated = calibration.calibrate(pixel_world.start(), image_folds, train_fold, settings.biases, key="a.b")
    names = dict.fromkeys(row["held_out"] for row in calibrated.table)
    return {name: [row["hIoU"] for row in calibrated.table if row["held_out"] == name] for name in names}


def make_options(folds=2, **changes):
    settings = quick_sections.classifier_section()["calibration"] | {"folds": folds}
    return quick_sections.classifier_options(calibration=settings, **changes)


@pytest.fixture
def training_log(monkeypatch):
    """Return two lists with an entry for each scored fold: the pools and unseen classes that train it, and the rows that score it."""
    trained_on, scored = [], []
    fit, by_bias = fine_tuning.fit, bias_metrics.by_bias

    def fit_and_record(start, real, source, unseen, options):
        trained_on.append((real, source.pool, list(unseen)))
        return fit(start, real, source, unseen, options)

    def score_and_record(model, table, biases):
        scored.append(table)
        return by_bias(model, table, biases)

    monkeypatch.setattr(fine_tuning, "fit", fit_and_record)
    monkeypatch.setattr(bias_metrics, "by_bias", score_and_record)
    return trained_on, scored


def check_disjoint(trained_on, scored):
    """Raise if a feature is scored by a classifier that it trained."""
    for (real, pool, _), table in zip(trained_on, scored, strict=True):
        assert not (as_set(real.features.numpy()) | as_set(pool.features.numpy())) & as_set(table["features"])


def test_each_image_is_scored_once_by_a_classifier_trained_without_it(tmp_path, training_log):
    sampled, revealed, images = make_tables(tmp_path)
    scores_by_fold = cross_validate(sampled, revealed, images)
    assert list(scores_by_fold) == ["part 1 of the images", "part 2 of the images"]
    biases = make_options().calibration.biases
    assert all(len(scores) == len(biases) and max(scores) > 50 for scores in scores_by_fold.values())
    trained_on, scored = training_log
    assert all(unseen == list(UNSEEN) for _, _, unseen in trained_on)
    assert all(real.labels.tolist() == list(pixel_world.SEEN) for real, _, _ in trained_on)
    check_disjoint(trained_on, scored)
    everything = [row for table in scored for row in table["features"]]
    assert len(everything) == len(sampled["features"]) + len(revealed["features"])
    assert as_set(everything) == as_set(sampled["features"]) | as_set(revealed["features"])
    for table in (sampled, revealed):
        for image in np.unique(table["image"]):
            features_of_image = as_set(table["features"][table["image"] == image])
            assert sum(bool(features_of_image & as_set(part["features"])) for part in scored) == 1


def test_an_image_in_both_lists_is_in_one_fold_and_its_seen_classes_are_scored_once(tmp_path, training_log):
    """With data.exclude: pixels an unlabelled image is also a training image, without its unseen pixels."""
    sampled, revealed, (ids, _) = make_tables(tmp_path)
    shared = [f"train{number}" for number in range(12)]
    cross_validate(sampled, revealed, (ids, shared))
    trained_on, scored = training_log
    check_disjoint(trained_on, scored)
    everything = as_set(row for table in scored for row in table["features"])
    is_unseen = np.isin(revealed["label"], UNSEEN)
    assert everything == as_set(sampled["features"]) | as_set(revealed["features"][is_unseen])
    for number in range(12):
        copies = [table["features"][table["image"] == number] for table in (sampled, revealed)]
        features_of_image = as_set(row for rows in copies for row in rows)
        assert sum(bool(features_of_image & as_set(part["features"])) for part in scored) == 1


def test_augmented_views_train_but_are_not_scored(tmp_path, training_log):
    sampled, revealed, images = make_tables(tmp_path)
    sampled["view"][::3] = 1
    cross_validate(sampled, revealed, images)
    trained_on, scored = training_log
    augmented = as_set(sampled["features"][::3])
    assert not any(augmented & as_set(table["features"]) for table in scored)
    assert all(augmented & as_set(real.features.numpy()) for real, _, _ in trained_on)


@pytest.mark.parametrize(
    ("n_train", "n_unlabelled", "folds", "n_scored"),
    [(80, 1, 2, 0), (1, 4, 3, 2), (80, 2, 3, 2), (80, 2, 90, 2), (80, 12, 1, 2)],
)
def test_folds_without_rows_to_train_or_score_are_skipped(tmp_path, n_train, n_unlabelled, folds, n_scored):
    sampled, revealed, images = make_tables(tmp_path, n_unlabelled)
    few = {name: column[sampled["image"] < n_train] for name, column in sampled.items()}
    scores_by_fold = cross_validate(few, revealed, images, folds=folds, epochs=1, steps_per_epoch=2)
    assert len(scores_by_fold) == n_scored and all(np.isfinite(scores).all() for scores in scores_by_fold.values())


def test_a_class_of_a_single_image_is_not_scored(tmp_path, training_log):
    sampled, revealed, images = make_tables(tmp_path)
    has_label = revealed["label"] == UNSEEN[0]
    removed = has_label & (revealed["image"] != revealed["image"][has_label][0])
    cross_validate(sampled, {name: column[~removed] for name, column in revealed.items()}, images)
    trained_on, scored = training_log
    assert sorted(unseen for _, _, unseen in trained_on) == [list(UNSEEN), [UNSEEN[1]]]
    assert [set(table["label"].tolist()) & set(UNSEEN) for table in scored] == [{UNSEEN[1]}] * 2


def test_weights_of_a_sampled_class_have_the_sum_of_all_its_rows(tmp_path):
    unlabelled_world.write(tmp_path)
    everything, some = sample_rows(tmp_path), sample_rows(tmp_path, per_class=7)
    for label in UNSEEN:
        total, sampled_weight = (table["weight"][table["label"] == label].sum() for table in (everything, some))
        assert sampled_weight == pytest.approx(total) and (some["label"] == label).sum() == 7
