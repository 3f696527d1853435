import dataclasses

import numpy as np
import pytest
import torch

from tests.support import pixel_world, quick_sections
from zeroshot.cache import rows
from zeroshot.zs3net.cross_validation import folds, hidden_rows, self_training_cv, zero_shot_cv

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
    """A rehearsal of ZS3Net whose generator knows little, and the sample it learnt from."""
    sampled = rows.sample(cache, 60, 0)
    fold = folds.draw(rows.presence(cache), pixel_world.SEEN, 1, 2, "images", 0)[0]
    embeddings = torch.from_numpy(pixel_world.vectors())
    options = quick_sections.classifier_options(synthetic_ratio=0.1)
    rehearsal, figures = zero_shot_cv.rehearse(
        fold, sampled, pixel_world.start(), embeddings, quick_sections.gmmn_options(epochs=1), options, CPU
    )
    return rehearsal, sampled, figures


def hiou(done, hidden, **changes):
    rehearsal, sampled, _ = done
    options = quick_sections.self_training_options(**changes)
    labelling = quick_sections.pseudo_labels_options(p=100.0)
    return self_training_cv.rehearse(rehearsal, hidden, sampled, 2.0, labelling, options, BIASES)


def test_self_training_on_the_unlabelled_images_helps_on_those_evaluated(cache, done):
    before = max(figures["hIoU"] for figures in done[2])
    after = max(figures["hIoU"] for figures in hiou(done, hidden_rows.read(cache, done[0].fold.unlabelled)))
    assert after > before + 3


def test_it_learns_from_the_unlabelled_images(cache, done):
    hidden = hidden_rows.read(cache, done[0].fold.unlabelled)
    wrong = hidden | {"features": hidden["features"][::-1].copy() * np.float16(3)}
    assert hiou(done, hidden) != hiou(done, wrong)


def test_without_unlabelled_rows_it_learns_from_real_and_synthetic_ones(cache, done):
    none = hidden_rows.read(cache, np.zeros_like(done[0].fold.unlabelled))
    assert len(none["label"]) == 0
    assert hiou(done, none)[0]["seen"] > 0


def test_held_out_rows_of_the_sample_reach_the_score_only(cache, done, monkeypatch):
    """Whatever they hold, the classifier is the same."""
    rehearsal, sampled, _ = done
    trained = []
    score = zero_shot_cv.score
    monkeypatch.setattr(
        zero_shot_cv, "score", lambda fold, model, *rest: trained.append(model) or score(fold, model, *rest)
    )
    changed = sampled["features"].copy()
    changed[np.isin(sampled["label"], rehearsal.fold.held_out)] = 7.5
    hidden = hidden_rows.read(cache, rehearsal.fold.unlabelled)
    figures = [hiou((rehearsal, sampled | {"features": x}, None), hidden) for x in (sampled["features"], changed)]
    assert torch.equal(trained[0].weight, trained[1].weight) and figures[0] != figures[1]


def test_the_bias_with_which_zs3net_labels_is_the_one_given(cache, done):
    rehearsal, sampled, _ = done
    biased = dataclasses.replace(rehearsal, classifier=dataclasses.replace(rehearsal.classifier, seen_bias=9.0))
    hidden = hidden_rows.read(cache, rehearsal.fold.unlabelled)
    assert hiou((biased, sampled, None), hidden) == hiou(done, hidden)
