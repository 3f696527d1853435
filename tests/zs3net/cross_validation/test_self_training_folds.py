import dataclasses
import functools
import itertools

import numpy as np
import pytest
import torch

from tests.support import caches, pixel_world, quick_sections
from zeroshot.cache import rows
from zeroshot.zs3net.cross_validation import calibration, fold_models, folds, self_training_folds
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
def done(cache):
    """ZS3Net in a fold, whose generator knows little, the sample it learnt from, and its metrics."""
    sampled = rows.sample(cache, 60, 0)
    fold = folds.draw(rows.presence(cache), pixel_world.split(), 1, 2, 0)[0]
    trained = fold_models.train(
        fold,
        sampled=sampled,
        start=pixel_world.start(),
        like=registry.build(
            quick_sections.gmmn_options(epochs=1), torch.from_numpy(pixel_world.vectors()), pixel_world.DIM, CPU
        ),
        options=quick_sections.classifier_options(synthetic_ratio=0.1),
    )
    return trained.models, sampled, trained.metrics(BIASES)


def train_again(done, hidden, **changes):
    models, sampled, _ = done
    options = quick_sections.self_training_options(**changes)
    labelling = quick_sections.pseudo_labels_options(p=100.0)
    return self_training_folds.train_again(models, hidden, sampled, 2.0, labelling, options)


def metrics_again(done, hidden, **changes):
    return train_again(done, hidden, **changes).metrics(BIASES)


def test_self_training_on_the_unlabelled_images_helps_on_those_evaluated(cache, done):
    before = max(metrics["hIoU"] for metrics in done[2])
    after = max(
        metrics["hIoU"]
        for metrics in metrics_again(done, self_training_folds.hidden_rows(cache, done[0].fold.unlabelled))
    )
    assert after > before + 3


def test_it_learns_from_the_unlabelled_images(cache, done):
    hidden = self_training_folds.hidden_rows(cache, done[0].fold.unlabelled)
    wrong = hidden | {"features": hidden["features"][::-1].copy() * np.float16(3)}
    assert metrics_again(done, hidden) != metrics_again(done, wrong)


def test_without_unlabelled_rows_it_learns_from_real_and_synthetic_ones(cache, done):
    none = self_training_folds.hidden_rows(cache, np.zeros_like(done[0].fold.unlabelled))
    assert len(none["label"]) == 0
    assert metrics_again(done, none)[0]["seen"] > 0


def test_held_out_rows_of_the_sample_reach_the_score_only(cache, done):
    """Whatever they hold, the classifier is the same."""
    models, sampled, _ = done
    changed = sampled["features"].copy()
    changed[np.isin(sampled["label"], models.fold.held_out)] = 7.5
    hidden = self_training_folds.hidden_rows(cache, models.fold.unlabelled)
    before, after = (
        train_again((models, sampled | {"features": x}, None), hidden) for x in (sampled["features"], changed)
    )
    assert torch.equal(before.classifier.weight, after.classifier.weight)
    assert before.metrics(BIASES) != after.metrics(BIASES)


def test_the_bias_with_which_zs3net_labels_is_the_one_given(cache, done):
    models, sampled, _ = done
    biased = dataclasses.replace(models, classifier=dataclasses.replace(models.classifier, seen_bias=9.0))
    hidden = self_training_folds.hidden_rows(cache, models.fold.unlabelled)
    assert metrics_again((biased, sampled, None), hidden) == metrics_again(done, hidden)


def test_a_fold_of_calibration_reads_its_hidden_rows_itself(cache, done):
    models, sampled, _ = done
    arguments = {
        "features_dir": cache,
        "sampled": sampled,
        "seen_bias": 2.0,
        "labelling": quick_sections.pseudo_labels_options(p=100.0),
        "options": quick_sections.self_training_options(),
    }
    train = functools.partial(self_training_folds.train, **arguments)
    found = calibration.calibrate(models.classifier, [models], train, BIASES, key="self_training.biases")
    expected = metrics_again(done, self_training_folds.hidden_rows(cache, models.fold.unlabelled))
    assert [row["hIoU"] for row in found.table] == [metrics["hIoU"] for metrics in expected]
    assert {row["held_out"] for row in found.table} == {models.name}


@pytest.mark.parametrize("chosen", [[True, False, True], [True] * 3, [False] * 3], ids=str)
def test_hidden_rows_are_even_over_the_cells_of_the_chosen_images_and_bare_of_labels(tmp_path, chosen):
    """As an unlabelled cache is: of every view of an image, as many rows as before, each as often as its share of the cells says."""
    tables = caches.table([2, 0, 1, 0, 255, 2, 0, 1, 1, 0, 2, 0]), caches.table([1, 0, 1, 2, 0, 1, 0, 1, 1], seed=2)
    written = [table | {"image": table["image"] % 2 * (1 - shard) + 2 * shard} for shard, table in enumerate(tables)]
    everything = {name: np.concatenate([table[name] for table in written]) for name in written[0]}
    folder = caches.write_rows(tmp_path, written)
    found = self_training_folds.hidden_rows(folder, np.array(chosen))
    assert (found["label"] == rows.UNLABELLED).all() and not found["component"].any()
    for image, view in itertools.product(range(3), range(2)):
        mine = (found["image"] == image) & (found["view"] == view)
        own = np.flatnonzero((everything["image"] == image) & (everything["view"] == view))
        assert mine.sum() == chosen[image] * len(own)
        if not mine.any():
            continue
        cells = everything["weight"][own].sum(dtype=np.float64)
        np.testing.assert_allclose(found["weight"][mine], cells / len(own), rtol=1e-6)
        for row in own:
            same = (found["features"][mine] == everything["features"][row]).all(1)
            same &= (found["position"][mine] == everything["position"][row]).all(1)
            assert abs(same.sum() - len(own) * everything["weight"][row] / cells) < 1
