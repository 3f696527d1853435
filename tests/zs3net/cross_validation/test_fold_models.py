import dataclasses

import numpy as np
import pytest
import torch

from tests.support import graph_world, pixel_world, quick_sections
from zeroshot.base import checkpoints
from zeroshot.cache import pools
from zeroshot.datasets import splits
from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.classifiers import fine_tuning
from zeroshot.zs3net.cross_validation import bias_metrics, calibration, fold_models, folds
from zeroshot.zs3net.generators import graph, registry

CPU = torch.device("cpu")
SETTINGS = {"enabled": True, "folds": 2, "held_out": 2, "biases": [0, 1, 2, 3, 4, 6, 20]}


def sampled(labels=pixel_world.SEEN):
    return pixel_world.sampled(dict.fromkeys(labels, 60))


def train(table=None, embeddings=None, gmmn_changes=None, exclude="images", **changes):
    """Return for each fold its models, and its metrics at each bias."""
    table = table or sampled()
    embeddings = torch.from_numpy(pixel_world.vectors()) if embeddings is None else embeddings
    options = quick_sections.classifier_options(**changes)
    settings = options.calibration
    split = dataclasses.replace(pixel_world.split(), exclude=exclude)
    chosen = folds.draw(pixel_world.presence(table), split, settings.folds, settings.held_out, options.seed)
    arguments = {
        "sampled": table,
        "start": pixel_world.start(),
        "like": registry.build(quick_sections.gmmn_options(**(gmmn_changes or {})), embeddings, pixel_world.DIM, CPU),
        "options": options,
    }
    trained = [fold_models.train(fold, **arguments) for fold in chosen]
    return [(done.models, done.metrics(settings.biases)) for done in trained]


def hious(done):
    return [[metrics["hIoU"] for metrics in scores] for _, scores in done]


def short(**changes):
    return {"gmmn_changes": {"epochs": 1, "steps_per_epoch": 10}, "epochs": 1, "steps_per_epoch": 20, **changes}


def test_each_fold_treats_its_classes_as_unseen_and_leaves_the_unseen_out():
    done = train(**short())
    assert len(done) == 2
    assert not set(done[0][0].fold.held_out) & set(done[1][0].fold.held_out)
    for trained, scores in done:
        model, held_out = trained.classifier, trained.fold.held_out
        assert len(held_out) == 2 and 0 not in held_out and set(held_out) < set(pixel_world.SEEN)
        assert len(scores) == len(SETTINGS["biases"]) and set(scores[0]) == {"seen", "unseen", "hIoU"}
        assert tuple(model.labels[model.unseen].tolist()) == held_out
        assert sorted(model.labels.tolist()) == list(pixel_world.SEEN)


def test_classes_without_rows_are_never_held_out():
    present = (0, 1, 2, 6)
    done = train(sampled(present), **short(calibration=SETTINGS | {"folds": 3, "held_out": 1}))
    assert sorted(label for models, _ in done for label in models.fold.held_out) == [1, 2, 6]


def trained_weights(**changes):
    return {done.fold.held_out: done.classifier.weight for done, _ in train(**short(**changes))}


def changed(column, where, value):
    """Return the sample with other values in some rows."""
    table = sampled()
    table[column][where(table)] = value
    return table


@pytest.mark.parametrize("exclude", ["images", "pixels"])
@pytest.mark.parametrize(("column", "value"), [("features", 7.5), ("weight", 99.0)])
def test_held_out_classes_never_reach_the_training_of_their_fold(column, value, exclude):
    before = trained_weights(exclude=exclude)
    for held_out in before:
        table = changed(column, lambda table, held_out=held_out: np.isin(table["label"], held_out), value)
        after = trained_weights(table=table, exclude=exclude)
        assert after.keys() == before.keys()
        for fold, weight in before.items():
            # The other fold learns from these rows: that it changes shows that the test can see a leak.
            assert torch.equal(after[fold], weight) is (fold == held_out)


@pytest.mark.parametrize("role", ["evaluation", "unlabelled"])
def test_images_that_are_scored_or_unlabelled_never_reach_the_training_of_their_fold(role):
    for done, scores in train(**short()):
        fold = done.fold
        table = changed("features", lambda table, fold=fold: getattr(fold, role)[table["image"]], 7.5)
        again = {other.fold.held_out: (other, scores) for other, scores in train(table=table, **short())}
        assert torch.equal(again[fold.held_out][0].classifier.weight, done.classifier.weight)
        assert (again[fold.held_out][1] == scores) is (role == "unlabelled")


def test_rows_and_embeddings_of_unseen_classes_never_reach_any_training():
    before = trained_weights()
    unseen = sampled(pixel_world.UNSEEN)
    everything = {name: np.concatenate([column, unseen[name]]) for name, column in sampled().items()}
    order = np.argsort(everything["label"], kind="stable")
    everything = {name: column[order] for name, column in everything.items()}
    embeddings = torch.from_numpy(pixel_world.vectors())
    embeddings[list(pixel_world.UNSEEN)] = -3
    after = trained_weights(table=everything, embeddings=embeddings)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[fold], before[fold]) for fold in before)


def test_twice_gives_the_same_metrics():
    one = [scores for _, scores in train(**short())]
    torch.rand(3)
    assert [scores for _, scores in train(**short())] == one


def test_models_of_folds_come_back_from_a_checkpoint(tmp_path):
    done = [trained for trained, _ in train(**short())]
    checkpoints.save(tmp_path / "folds.pt", fold_models.save_dict(done))
    loaded = fold_models.load_dict(checkpoints.load(tmp_path / "folds.pt"), CPU)
    labels = torch.tensor([1, 5])
    for before, after in zip(done, loaded, strict=True):
        assert after.fold.held_out == before.fold.held_out and after.name == before.name == before.fold.name
        for role in ("train", "unlabelled", "evaluation"):
            np.testing.assert_array_equal(getattr(after.fold, role), getattr(before.fold, role))
        assert torch.equal(after.classifier.weight, before.classifier.weight)
        draws = [done.generator.sample(labels, torch.Generator().manual_seed(0)) for done in (before, after)]
        assert torch.equal(*draws)


def test_the_bias_it_picks_also_helps_the_really_unseen_classes():
    """A world whose classifier is far too sure of its seen classes: the folds must find a bias, and it must carry over."""
    options = {"synthetic_ratio": 0.05, "calibration": SETTINGS}
    scores = hious(train(**options))
    biases = SETTINGS["biases"]
    bias = calibration.choose(scores, biases)
    assert 0 < bias < 20
    mean = np.mean(scores, axis=0)
    assert mean[biases.index(bias)] > mean[0] + 10 and mean[biases.index(bias)] > mean[-1] + 10

    generator = registry.build(
        quick_sections.gmmn_options(), torch.from_numpy(pixel_world.vectors()), pixel_world.DIM, CPU
    )
    real = pools.select(sampled(), pixel_world.SEEN)
    list(generator.fit(real))
    *_, (_, model) = fine_tuning.fit(
        pixel_world.start(), real, generator, pixel_world.UNSEEN, quick_sections.classifier_options(**options)
    )
    truth = pixel_world.sampled(dict.fromkeys(range(len(pixel_world.CLASSES)), 60), seed=8)
    plain, calibrated = bias_metrics.by_bias(model, truth, (0.0, bias))
    assert calibrated["hIoU"] > plain["hIoU"] + 10


def test_restrict_keeps_rows_with_their_labels():
    start = pixel_world.start()
    reduced = fold_models.restrict(start, [7, 0, 2])
    assert reduced.labels.tolist() == [0, 2, 7]
    for row, label in enumerate([0, 2, 7]):
        own = start.labels.tolist().index(label)
        assert torch.equal(reduced.weight[row], start.weight[own]) and reduced.bias[row] == start.bias[own]
    assert len(reduced.unseen) == 3 and len(start.labels) == len(pixel_world.SEEN)


@pytest.mark.parametrize("context", ["near", "true_masks"])
def test_graphs_of_images_with_a_held_out_class_are_hidden_from_its_fold(monkeypatch, context):
    graphs, table = graph_world.make()
    presence = np.zeros((graphs.image.max() + 1, 6), bool)
    presence[graphs.image, graphs.label] = True
    given = []
    monkeypatch.setattr(graph.GraphContext, "fit", lambda self, real, context: given.append((real, context)) or iter(()))
    start = pixel_classifier.PixelClassifier(
        torch.zeros(5, 4), torch.zeros(5), torch.tensor(graph_world.SEEN), torch.zeros(5, dtype=torch.bool)
    )
    masks = {"near": "data/pretrained/none", "true_masks": "data/masks/unlabelled"}[context]
    section = quick_sections.gmmn_section()["graph"] | {"masks": masks, "contexts_per_class": 9}
    options = quick_sections.gmmn_options(generator="graph", graph=section)
    split = splits.Split(tuple("abcdef"), tuple(graph_world.SEEN), (), "pixels", (), (), ())
    for fold in folds.draw(presence, split, 3, 1, 0):
        fold_models.fit_generator(fold, table, start, graph_world.EMBEDDINGS, options, CPU, graphs)
        real, found = given.pop()
        (held_out,) = fold.held_out
        shown = np.isin(table["image"], graphs.image[graphs.label == held_out])
        used = fold.train[table["image"]] & (table["label"] != held_out)
        assert len(found.rows) == len(real.features) == used.sum()
        assert ((found.rows.numpy() == -1) == shown[used]).all() and (found.rows >= 0).any()
        assert not (found.neighbourhoods.labels == held_out).any()
        if context == "near":
            assert found.unseen is None
        else:
            there = (graphs.label == held_out) & fold.unlabelled[graphs.image]
            assert found.unseen.root_labels.tolist() == [held_out] * min(9, there.sum()) and there.any()
