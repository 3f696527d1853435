import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import quick_sections
from zeroshot.base import errors, params
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.zs3net.pseudo_labels import selection

N_VIEWS = 3


def options(**changes):
    return quick_sections.pseudo_labels_options(**changes)


def model(seen_bias=0.0):
    """Return a random classifier of labels 0, 2, 3 (seen) and 5, 1 (unseen) over 6 features."""
    rng = np.random.default_rng(0)
    return pixel_classifier.PixelClassifier(
        weight=torch.from_numpy(rng.normal(size=(5, 6))).float(),
        bias=torch.from_numpy(rng.normal(size=5)).float(),
        labels=torch.tensor([0, 2, 3, 5, 1]),
        unseen=torch.tensor([False, False, False, True, True]),
        seen_bias=seen_bias,
    )


def unlabelled(n_images=4, places=30, seed=0, noise=0.3):
    """Return rows of the same positions in three views, sorted by image and view as in a cache; weights differ between images."""
    rng = np.random.default_rng(seed)
    tables = []
    for image in range(n_images):
        content = rng.normal(size=(places, 6))
        position = np.stack(np.unravel_index(rng.choice(100, places, replace=False), (10, 10)), axis=1)
        for view in range(N_VIEWS):
            tables.append(
                {
                    "features": (content + noise * rng.normal(size=content.shape)).astype(np.float16),
                    "label": np.full(places, 65535, np.uint16),
                    "image": np.full(places, image, np.int32),
                    "view": np.full(places, view, np.uint8),
                    "position": position.astype(np.uint16),
                    "component": np.zeros(places, np.int32),
                    "weight": np.full(places, 1.5 + image, np.float32),
                }
            )
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def identities(table):
    return set(zip(table["image"].tolist(), table["view"].tolist(), *table["position"].T.tolist(), strict=True))


def predictions(classifier, table):
    """Return label and probability of every row by the definition of softmax."""
    predicted = []
    for x in table["features"].astype(np.float64):
        logits = classifier.weight.double().numpy() @ x + classifier.bias.double().numpy()
        logits -= classifier.seen_bias * ~classifier.unseen.numpy()
        predicted.append((int(classifier.labels[logits.argmax()]), 1 / np.exp(logits - logits.max()).sum()))
    return predicted


def by_definition(classifier, table, rule, p, min_confidence, classes):
    """Apply a rule row by row and group by group; return the label of each selected row by its index."""
    predicted = predictions(classifier, table)
    allowed = {1, 5} if classes == "unseen" else {0, 1, 2, 3, 5}
    places = list(zip(table["image"].tolist(), *table["position"].T.tolist(), strict=True))
    groups = {}
    for number, (label, confidence) in enumerate(predicted):
        if table["view"][number] == 0 and label in allowed and confidence >= min_confidence:
            groups.setdefault((places[number][0] if rule == "per_image" else None, label), []).append(number)
    selected = {}
    for (_, label), members in groups.items():
        if rule == "agreement":
            members = [
                number
                for number in members
                if {predicted[other][0] for other, place in enumerate(places) if place == places[number]} == {label}
            ]
        elif rule == "per_image":
            members = sorted(members, key=lambda number: -predicted[number][1])[: math.ceil(p * len(members) / 100)]
        else:
            members = sorted(members, key=lambda number: -predicted[number][1])
            total, passed, count = sum(table["weight"][members]), 0.0, 0
            while count < len(members) and passed < p / 100 * total:
                passed += table["weight"][members[count]]
                count += 1
            members = members[:count]
        selected |= dict.fromkeys(members, label)
    return selected


@pytest.mark.parametrize("rule", ["per_image", "per_dataset", "agreement"])
@pytest.mark.parametrize("classes", ["unseen", "all"])
@pytest.mark.parametrize(("p", "min_confidence", "seen_bias"), [(25.0, 0.0, 0.0), (60.0, 0.5, 1.0), (100.0, 0.0, -1.0)])
def test_rules_equal_their_definition(rule, classes, p, min_confidence, seen_bias):
    classifier, table = model(seen_bias), unlabelled()
    expected = by_definition(classifier, table, rule, p, min_confidence, classes)
    chosen = options(rule=rule, p=p, min_confidence=min_confidence, classes=classes)
    selected = selection.select(classifier, table, chosen)
    assert len(expected) > 5
    order = sorted(expected, key=lambda number: (expected[number], number))
    assert selected["label"].tolist() == [expected[number] for number in order]
    for name in table.keys() - {"label"}:
        np.testing.assert_array_equal(selected[name], table[name][order])


def test_confidence_is_the_softmax_of_calibrated_logits():
    table = unlabelled()
    for bias in (0.0, 2.0):
        labels, confidences = selection.predict(model(bias), table["features"], chunk=7)
        expected = predictions(model(bias), table)
        assert labels.tolist() == [label for label, _ in expected]
        np.testing.assert_allclose(confidences, [confidence for _, confidence in expected], rtol=1e-5)


@pytest.mark.parametrize("rule", ["per_image", "per_dataset"])
def test_rows_of_a_larger_p_include_those_of_a_smaller_one(rule):
    previous, sizes = set(), []
    for p in (1.0, 10.0, 25.0, 50.0, 75.0, 100.0):
        current = identities(selection.select(model(1.0), unlabelled(), options(rule=rule, p=p)))
        assert previous <= current
        previous = current
        sizes.append(len(current))
    assert len(set(sizes)) == len(sizes)
    labels, _ = selection.predict(model(1.0), unlabelled()["features"])
    assert sizes[-1] == (np.isin(labels, [1, 5]) & (unlabelled()["view"] == 0)).sum()


def test_per_image_selects_rows_of_every_image_but_per_dataset_may_not():
    table = unlabelled()
    # The predictions for the pixels of image 2 are the least confident.
    table["features"][table["image"] == 2] *= np.float16(0.01)
    classifier = dataclasses.replace(model(), bias=torch.tensor([-9.0, -9.0, -9.0, 0.0, -0.01]))
    selected = {
        rule: set(selection.select(classifier, table, options(rule=rule, p=10.0))["image"].tolist())
        for rule in ("per_image", "per_dataset")
    }
    assert selected == {"per_image": {0, 1, 2, 3}, "per_dataset": {0, 1, 3}}


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    p=st.integers(1, 100),
    levels=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_p_per_cent_of_an_equally_weighted_group_are_selected_rounded_up(counts, p, levels, seed):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    confidences = rng.integers(0, levels, len(groups)) / 7
    selected = selection.most_confident([groups], confidences, np.full(len(groups), 2.7, np.float32), float(p))
    for group, count in enumerate(counts):
        members = np.flatnonzero(groups == group)
        assert selected[members].sum() == -(-p * count // 100)
        # `sorted` is stable: of equally confident rows the first wins.
        ranked = sorted(members, key=lambda number: -confidences[number])
        assert set(members[selected[members]]) == set(ranked[: selected[members].sum()])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_selection_is_invariant_to_row_order(seed):
    table = unlabelled()
    order = np.random.default_rng(seed).permutation(len(table["label"]))
    shuffled = {name: column[order] for name, column in table.items()}
    for rule in ("per_image", "per_dataset", "agreement"):
        chosen = options(rule=rule, p=30.0)
        expected = identities(selection.select(model(), table, chosen))
        assert identities(selection.select(model(), shuffled, chosen)) == expected


def test_agreement_selects_every_unseen_label_if_views_are_identical():
    table = unlabelled(noise=0.0)
    selected = selection.select(model(), table, options(rule="agreement", p=1.0))
    labels, _ = selection.predict(model(), table["features"])
    assert len(selected["label"]) == (np.isin(labels, [1, 5]) & (table["view"] == 0)).sum() > 0
    assert len(selection.select(model(), unlabelled(noise=2.0), options(rule="agreement"))["label"]) < len(
        selected["label"]
    )


def test_agreement_with_one_view_raises_an_error():
    table = {name: column[unlabelled()["view"] == 0] for name, column in unlabelled().items()}
    with pytest.raises(errors.UserError, match=r"several views, found 1; set features\.unlabelled_views"):
        selection.select(model(), table, options(rule="agreement"))


@pytest.mark.parametrize("rule", ["per_image", "per_dataset", "agreement"])
def test_selection_of_no_rows_or_no_unseen_class_is_empty(rule):
    none = {name: column[:0] for name, column in unlabelled().items()}
    selected = selection.select(model(), none, options(rule=rule))
    assert {name: column.shape for name, column in selected.items()} == {n: c.shape for n, c in none.items()}
    only_seen = dataclasses.replace(model(), unseen=torch.zeros(5, dtype=torch.bool))
    assert len(selection.select(only_seen, unlabelled(), options(rule=rule))["label"]) == 0


def test_true_labels_are_not_read():
    table = unlabelled()
    expected = selection.select(model(), table, options())
    selected = selection.select(model(), table | {"label": np.arange(len(table["label"]), dtype=np.uint16)}, options())
    assert all(selected[name].tobytes() == expected[name].tobytes() for name in expected)


@pytest.mark.parametrize(
    "change", [{"p": 0.0}, {"p": 100.5}, {"rule": "best"}, {"min_confidence": 1.1}, {"classes": "seen"}]
)
def test_invalid_params_raise_an_error(change):
    with pytest.raises(params.ParamsError, match=f"pseudo_labels.{next(iter(change))}"):
        options(**change)
