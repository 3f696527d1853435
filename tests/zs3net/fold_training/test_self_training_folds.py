import dataclasses
import functools
import itertools

import numpy as np
import pytest
import torch

from tests.support import caches, pixel_world, quick_sections
from zeroshot.cache import rows
from zeroshot.pixel_classifiers.cross_validation import calibration, folds
from zeroshot.zs3net.fold_training import fold_models, self_training_folds
from zeroshot.zs3net.generators import registry

CPU = torch.device("cpu")
BIASES = (0, 1, 2, 3, 4, 6, 20)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache of training rows."""
    folder = tmp_path_factory.mktemp("cache") / "train"
    pixel_world.write_rows(folder, 60)
    return folder


@pytest.fixture(scope="module")
def zs3net(cache):
    """Return ZS3Net of a fold with a barely trained generator, its training sample, and its metrics."""
    sampled = rows.sample(cache, 60, 0)
    fold = folds.draw(rows.presence(cache), pixel_world.split(), 1, 2, 0)[0]
    trained = fold_models.train(
        fold,
        sampled=sampled,
        seen=pixel_world.SEEN,
        start=pixel_world.start(),
        like=registry.build(
            quick_sections.gmmn_options(epochs=1), torch.from_numpy(pixel_world.vectors()), pixel_world.DIM, CPU
        ),
        options=quick_sections.classifier_options(synthetic_ratio=0.1),
    )
    return trained.models, sampled, trained.metrics(BIASES)


def train_again(zs3net, hidden, **changes):
    models, sampled, _ = zs3net
    options = quick_sections.self_training_options(**changes)
    labelling = quick_sections.pseudo_labels_options(p=100.0)
    return self_training_folds.train_again(models, hidden, sampled, 2.0, labelling, options)


def metrics_again(zs3net, hidden, **changes):
    return train_again(zs3net, hidden, **changes).metrics(BIASES)


def test_self_training_on_unlabelled_images_improves_hiou(cache, zs3net):
    before = max(metrics["hIoU"] for metrics in zs3net[2])
    after = max(
        metrics["hIoU"]
        for metrics in metrics_again(zs3net, self_training_folds.hidden_rows(cache, zs3net[0].fold.unlabelled))
    )
    assert after > before + 3


def test_self_training_depends_on_the_unlabelled_images(cache, zs3net):
    hidden = self_training_folds.hidden_rows(cache, zs3net[0].fold.unlabelled)
    wrong = hidden | {"features": hidden["features"][::-1].copy() * np.float16(3)}
    assert metrics_again(zs3net, hidden) != metrics_again(zs3net, wrong)


def test_self_training_works_without_unlabelled_rows(cache, zs3net):
    none = self_training_folds.hidden_rows(cache, np.zeros_like(zs3net[0].fold.unlabelled))
    assert len(none["label"]) == 0
    assert metrics_again(zs3net, none)[0]["seen"] > 0


def test_held_out_rows_of_the_sample_change_only_the_metrics(cache, zs3net):
    """Changing these rows must change the metrics but not the classifier."""
    models, sampled, _ = zs3net
    changed = sampled["features"].copy()
    changed[np.isin(sampled["label"], models.fold.held_out)] = 7.5
    hidden = self_training_folds.hidden_rows(cache, models.fold.unlabelled)
    before, after = (
        train_again((models, sampled | {"features": x}, None), hidden) for x in (sampled["features"], changed)
    )
    assert torch.equal(before.classifier.weight, after.classifier.weight)
    assert before.metrics(BIASES) != after.metrics(BIASES)


def test_pseudo_labels_use_the_given_seen_bias(cache, zs3net):
    models, sampled, _ = zs3net
    biased = dataclasses.replace(models, classifier=dataclasses.replace(models.classifier, seen_bias=9.0))
    hidden = self_training_folds.hidden_rows(cache, models.fold.unlabelled)
    assert metrics_again((biased, sampled, None), hidden) == metrics_again(zs3net, hidden)


def test_train_reads_hidden_rows_from_the_cache(cache, zs3net):
    models, sampled, _ = zs3net
    arguments = {
        "features_dir": cache,
        "sampled": sampled,
        "seen_bias": 2.0,
        "labelling": quick_sections.pseudo_labels_options(p=100.0),
        "options": quick_sections.self_training_options(),
    }
    train = functools.partial(self_training_folds.train, **arguments)
    calibrated = calibration.calibrate(models.classifier, [models], train, BIASES, key="self_training.biases")
    expected = metrics_again(zs3net, self_training_folds.hidden_rows(cache, models.fold.unlabelled))
    assert [row["hIoU"] for row in calibrated.table] == [metrics["hIoU"] for metrics in expected]
    assert {row["held_out"] for row in calibrated.table} == {models.name}


@pytest.mark.parametrize("chosen", [[True, False, True], [True] * 3, [False] * 3], ids=str)
def test_hidden_rows_are_resampled_by_cells_and_have_no_labels(tmp_path, chosen):
    """Each view of an image must have as many rows as before, each repeated in proportion to its share of the cells."""
    tables = caches.table([2, 0, 1, 0, 65535, 2, 0, 1, 1, 0, 2, 0]), caches.table([1, 0, 1, 2, 0, 1, 0, 1, 1], seed=2)
    written = [table | {"image": table["image"] % 2 * (1 - shard) + 2 * shard} for shard, table in enumerate(tables)]
    everything = {name: np.concatenate([table[name] for table in written]) for name in written[0]}
    folder = caches.write_rows(tmp_path, written)
    hidden = self_training_folds.hidden_rows(folder, np.array(chosen))
    assert (hidden["label"] == rows.UNLABELLED).all() and not hidden["component"].any()
    for image, view in itertools.product(range(3), range(2)):
        in_view = (hidden["image"] == image) & (hidden["view"] == view)
        originals = np.flatnonzero((everything["image"] == image) & (everything["view"] == view))
        assert in_view.sum() == chosen[image] * len(originals)
        if not in_view.any():
            continue
        cells = everything["weight"][originals].sum(dtype=np.float64)
        np.testing.assert_allclose(hidden["weight"][in_view], cells / len(originals), rtol=1e-6)
        for row in originals:
            same = (hidden["features"][in_view] == everything["features"][row]).all(1)
            same &= (hidden["position"][in_view] == everything["position"][row]).all(1)
            assert abs(same.sum() - len(originals) * everything["weight"][row] / cells) < 1
