import numpy as np
import pytest
import torch

from tests import graph_world, pixel_world
from zs3 import calibration, classifier, gmmn, pixel_classifier, pools, zero_shot_cv

CPU = torch.device("cpu")
SETTINGS = {"enabled": True, "folds": 2, "held_out": 2, "biases": [0, 1, 2, 3, 4, 6, 20]}


def sampled(labels=pixel_world.SEEN):
    return pixel_world.sampled(dict.fromkeys(labels, 60))


def curves(table=None, embeddings=None, gmmn_changes=None, **changes):
    """Return the folds' held-out labels and scores."""
    embeddings = torch.from_numpy(pixel_world.vectors()) if embeddings is None else embeddings
    return list(
        zero_shot_cv.bias_curves(
            table or sampled(),
            pixel_world.start(),
            embeddings,
            pixel_world.gmmn_options(**(gmmn_changes or {})),
            pixel_world.classifier_options(**changes),
            CPU,
        )
    )


@pytest.fixture
def spied(monkeypatch):
    """What each fold trained and scored, as (classifier, labels of the rows it was scored on)."""
    seen_by = []
    score = calibration.hiou_by_bias

    def spy(model, features, labels, *rest):
        seen_by.append((model, labels))
        return score(model, features, labels, *rest)

    monkeypatch.setattr(calibration, "hiou_by_bias", spy)
    return seen_by


def short(**changes):
    return {"gmmn_changes": {"epochs": 1, "steps_per_epoch": 10}, "epochs": 1, "steps_per_epoch": 20, **changes}


def test_each_fold_treats_its_classes_as_unseen_and_leaves_the_unseen_out(spied):
    folds = curves(**short())
    assert len(folds) == 2
    assert not set(folds[0][0]) & set(folds[1][0])
    for (held_out, scores), (model, labels) in zip(folds, spied, strict=True):
        assert len(held_out) == 2 and 0 not in held_out and set(held_out) < set(pixel_world.SEEN)
        assert len(scores) == len(SETTINGS["biases"])
        assert model.labels[model.unseen].tolist() == held_out
        assert sorted(model.labels.tolist()) == list(pixel_world.SEEN)
        assert set(labels.tolist()) == set(pixel_world.SEEN)


def test_classes_without_rows_are_never_held_out():
    present = (0, 1, 2, 6)
    folds = curves(sampled(present), **short(calibration=SETTINGS | {"folds": 3, "held_out": 1}))
    assert sorted(label for held_out, _ in folds for label in held_out) == [1, 2, 6]


def trained_weights(spied, **changes):
    spied.clear()
    folds = curves(**short(**changes))
    return {tuple(held_out): model.weight for (held_out, _), (model, _) in zip(folds, spied, strict=True)}


def test_features_of_held_out_classes_never_reach_the_training_of_their_fold(spied):
    before = trained_weights(spied)
    for held_out in before:
        changed = sampled()
        rows = np.isin(changed["label"], held_out)
        changed["features"][rows] = np.float16(7.5)
        after = trained_weights(spied, table=changed)
        assert after.keys() == before.keys()
        for fold, weight in before.items():
            # The other fold learns from these rows: that it changes shows that the test can see a leak.
            assert torch.equal(after[fold], weight) is (fold == held_out)


def test_how_common_the_held_out_classes_are_never_reaches_the_training_of_their_fold(spied):
    before = trained_weights(spied)
    for held_out in before:
        changed = sampled()
        changed["weight"][np.isin(changed["label"], held_out)] *= 10
        after = trained_weights(spied, table=changed)
        for fold, weight in before.items():
            assert torch.equal(after[fold], weight) is (fold == held_out)


def test_rows_and_embeddings_of_unseen_classes_never_reach_any_training(spied):
    before = trained_weights(spied)
    unseen = sampled(pixel_world.UNSEEN)
    everything = {name: np.concatenate([column, unseen[name]]) for name, column in sampled().items()}
    order = np.argsort(everything["label"], kind="stable")
    everything = {name: column[order] for name, column in everything.items()}
    embeddings = torch.from_numpy(pixel_world.vectors())
    embeddings[list(pixel_world.UNSEEN)] = -3
    after = trained_weights(spied, table=everything, embeddings=embeddings)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[fold], before[fold]) for fold in before)


def test_twice_gives_the_same_curves():
    one = curves(**short())
    torch.rand(3)
    assert curves(**short()) == one


def test_the_bias_it_picks_also_helps_the_really_unseen_classes():
    """A world whose classifier is far too sure of its seen classes: rehearsal must find a bias, and the bias must carry over."""
    options = {"synthetic_ratio": 0.05, "calibration": SETTINGS}
    folds = curves(**options)
    biases = SETTINGS["biases"]
    bias = calibration.choose([scores for _, scores in folds], biases)
    assert 0 < bias < 20
    mean = np.mean([scores for _, scores in folds], axis=0)
    assert mean[biases.index(bias)] > mean[0] + 10 and mean[biases.index(bias)] > mean[-1] + 10

    generator = gmmn.build(pixel_world.gmmn_options(), torch.from_numpy(pixel_world.vectors()), pixel_world.DIM, CPU)
    real = pools.select(sampled(), pixel_world.SEEN)
    list(gmmn.fit(generator, real))
    *_, (_, model) = classifier.fit(
        pixel_world.start(), real, generator, pixel_world.UNSEEN, pixel_world.classifier_options(**options)
    )
    truth = pixel_world.sampled(dict.fromkeys(range(len(pixel_world.CLASSES)), 60), seed=8)
    plain, calibrated = calibration.hiou_by_bias(
        model, torch.from_numpy(truth["features"]), truth["label"], truth["weight"], (0.0, bias)
    )
    assert calibrated > plain + 10


def test_restrict_keeps_rows_with_their_labels():
    start = pixel_world.start()
    reduced = zero_shot_cv.restrict(start, [7, 0, 2])
    assert reduced.labels.tolist() == [0, 2, 7]
    for row, label in enumerate([0, 2, 7]):
        own = start.labels.tolist().index(label)
        assert torch.equal(reduced.weight[row], start.weight[own]) and reduced.bias[row] == start.bias[own]
    assert len(reduced.unseen) == 3 and len(start.labels) == len(pixel_world.SEEN)


def test_graphs_of_images_with_a_held_out_class_are_hidden_from_its_fold(monkeypatch):
    graphs, table = graph_world.make()
    given = []
    monkeypatch.setattr(gmmn, "fit", lambda generator, real, context: given.append((real, context)) or iter(()))
    start = pixel_classifier.PixelClassifier(
        torch.zeros(5, 4), torch.zeros(5), torch.tensor(graph_world.SEEN), torch.zeros(5, dtype=torch.bool)
    )
    options = pixel_world.classifier_options(**short(calibration=SETTINGS | {"held_out": 1}))
    folds = zero_shot_cv.bias_curves(
        table, start, graph_world.EMBEDDINGS, pixel_world.gmmn_options(), options, CPU, graphs
    )
    for (held_out, _), (real, context) in zip(folds, given, strict=True):
        shown = graphs.image[np.isin(graphs.label, held_out)]
        rows = ~np.isin(table["label"], held_out)
        assert len(context.rows) == len(real.features) == rows.sum()
        assert ((context.rows.numpy() == -1) == np.isin(table["image"][rows], shown)).all() and (
            context.rows >= 0
        ).any()
        assert not np.isin(context.neighbourhoods.labels, held_out).any()
