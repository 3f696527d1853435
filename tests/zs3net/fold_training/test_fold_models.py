import dataclasses

import numpy as np
import pytest
import torch

from tests.support import graph_world, pixel_world, quick_sections
from zeroshot.base import checkpoints
from zeroshot.cache import pools
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers.cross_validation import bias_metrics, calibration, folds
from zeroshot.zs3net.classifiers import fine_tuning
from zeroshot.zs3net.fold_training import fold_models
from zeroshot.zs3net.generators import graph, registry

CPU = torch.device("cpu")
SETTINGS = {"enabled": True, "folds": 2, "held_out": 2, "biases": [0, 1, 2, 3, 4, 6, 20]}


def sampled(labels=pixel_world.SEEN):
    return pixel_world.sampled(dict.fromkeys(labels, 60))


def train(table=None, embeddings=None, gmmn_changes=None, exclude="images", **changes):
    """Return the models and the metrics at each bias of every fold."""
    table = table or sampled()
    embeddings = torch.from_numpy(pixel_world.vectors()) if embeddings is None else embeddings
    options = quick_sections.classifier_options(**changes)
    settings = options.calibration
    split = dataclasses.replace(pixel_world.split(), exclude=exclude)
    chosen = folds.draw(pixel_world.presence(table), split, settings.folds, settings.held_out, options.seed)
    arguments = {
        "sampled": table,
        "seen": pixel_world.SEEN,
        "start": pixel_world.start(),
        "like": registry.build(quick_sections.gmmn_options(**(gmmn_changes or {})), embeddings, pixel_world.DIM, CPU),
        "options": options,
    }
    trained = [fold_models.train(fold, **arguments) for fold in chosen]
    return [(fold_result.models, fold_result.metrics(settings.biases)) for fold_result in trained]


def hiou_by_fold(results):
    return [[metrics["hIoU"] for metrics in scores] for _, scores in results]


def short_options(**changes):
    return {"gmmn_changes": {"epochs": 1, "steps_per_epoch": 10}, "epochs": 1, "steps_per_epoch": 20, **changes}


def test_held_out_classes_act_as_unseen_and_unseen_classes_are_excluded():
    results = train(**short_options())
    assert len(results) == 2
    assert not set(results[0][0].fold.held_out) & set(results[1][0].fold.held_out)
    for trained, scores in results:
        model, held_out = trained.classifier, trained.fold.held_out
        assert len(held_out) == 2 and 0 not in held_out and set(held_out) < set(pixel_world.SEEN)
        assert len(scores) == len(SETTINGS["biases"]) and set(scores[0]) == {"seen", "unseen", "hIoU"}
        assert tuple(model.labels[model.unseen].tolist()) == held_out
        assert sorted(model.labels.tolist()) == list(pixel_world.SEEN)


def test_classes_without_rows_are_never_held_out():
    present = (0, 1, 2, 6)
    results = train(sampled(present), **short_options(calibration=SETTINGS | {"folds": 3, "held_out": 1}))
    assert sorted(label for models, _ in results for label in models.fold.held_out) == [1, 2, 6]


def trained_weights(**changes):
    return {models.fold.held_out: models.classifier.weight for models, _ in train(**short_options(**changes))}


def changed(column, where, value):
    """Return the sample with other values in some rows."""
    table = sampled()
    table[column][where(table)] = value
    return table


@pytest.mark.parametrize("exclude", ["images", "pixels"])
@pytest.mark.parametrize(("column", "value"), [("features", 7.5), ("weight", 99.0)])
def test_held_out_classes_do_not_reach_the_training_of_their_fold(column, value, exclude):
    before = trained_weights(exclude=exclude)
    for held_out in before:
        table = changed(column, lambda table, held_out=held_out: np.isin(table["label"], held_out), value)
        after = trained_weights(table=table, exclude=exclude)
        assert after.keys() == before.keys()
        for fold, weight in before.items():
            # The other fold trains on these rows; that it changes proves that the test detects a leak.
            assert torch.equal(after[fold], weight) is (fold == held_out)


@pytest.mark.parametrize("role", ["evaluation", "unlabelled"])
def test_evaluation_and_unlabelled_images_do_not_reach_the_training_of_their_fold(role):
    for models, scores in train(**short_options()):
        fold = models.fold
        table = changed("features", lambda table, fold=fold: getattr(fold, role)[table["image"]], 7.5)
        again = {other.fold.held_out: (other, scores) for other, scores in train(table=table, **short_options())}
        assert torch.equal(again[fold.held_out][0].classifier.weight, models.classifier.weight)
        assert (again[fold.held_out][1] == scores) is (role == "unlabelled")


def test_rows_and_embeddings_of_unseen_classes_do_not_reach_any_training():
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


def test_metrics_are_reproducible():
    one = [scores for _, scores in train(**short_options())]
    torch.rand(3)
    assert [scores for _, scores in train(**short_options())] == one


def test_saving_and_loading_preserves_models_of_folds(tmp_path):
    results = [trained for trained, _ in train(**short_options())]
    checkpoints.save(tmp_path / "folds.pt", fold_models.save_dict(results))
    loaded = fold_models.load_dict(checkpoints.load(tmp_path / "folds.pt"), CPU)
    labels = torch.tensor([1, 5])
    for before, after in zip(results, loaded, strict=True):
        assert after.fold.held_out == before.fold.held_out and after.name == before.name == before.fold.name
        for role in ("train", "unlabelled", "evaluation"):
            np.testing.assert_array_equal(getattr(after.fold, role), getattr(before.fold, role))
        assert torch.equal(after.classifier.weight, before.classifier.weight)
        features = [one.generator.sample(labels, torch.Generator().manual_seed(0)) for one in (before, after)]
        assert torch.equal(*features)


def test_the_chosen_bias_improves_hiou_of_unseen_classes():
    """Here the classifier strongly prefers seen classes: the folds must choose a bias that also helps truly unseen classes."""
    options = {"synthetic_ratio": 0.05, "calibration": SETTINGS}
    scores = hiou_by_fold(train(**options))
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


@pytest.mark.parametrize("context", ["near", "true_masks"])
def test_graphs_of_images_with_a_held_out_class_are_excluded_from_its_fold(monkeypatch, context):
    graphs, table = graph_world.make()
    presence = np.zeros((graphs.image.max() + 1, 6), bool)
    presence[graphs.image, graphs.label] = True
    fit_arguments = []
    monkeypatch.setattr(
        graph.GraphContext, "fit", lambda self, real, context: fit_arguments.append((real, context)) or iter(())
    )
    masks = {"near": "data/pretrained/none", "true_masks": "data/masks/unlabelled"}[context]
    section = quick_sections.gmmn_section()["graph"] | {"masks": masks, "contexts_per_class": 9}
    options = quick_sections.gmmn_options(generator="graph", graph=section)
    split = splits.Split(tuple("abcdef"), tuple(graph_world.SEEN), (), "pixels", (), (), ())
    for fold in folds.draw(presence, split, 3, 1, 0):
        fold_models.fit_generator(fold, table, graph_world.SEEN, graph_world.EMBEDDINGS, options, CPU, graphs)
        real, row_places = fit_arguments.pop()
        (held_out,) = fold.held_out
        shown = np.isin(table["image"], graphs.image[graphs.label == held_out])
        used = fold.train[table["image"]] & (table["label"] != held_out)
        assert len(row_places.rows) == len(real.features) == used.sum()
        assert ((row_places.rows.numpy() == -1) == shown[used]).all() and (row_places.rows >= 0).any()
        assert not (row_places.places.labels == held_out).any()
        if context == "near":
            assert row_places.unseen is None
        else:
            is_held_out = (graphs.label == held_out) & fold.unlabelled[graphs.image]
            assert (
                row_places.unseen.root_labels.tolist() == [held_out] * min(9, is_held_out.sum()) and is_held_out.any()
            )
