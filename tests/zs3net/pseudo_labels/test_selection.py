import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import quick_sections
from zeroshot.base import errors, params
from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.pseudo_labels import selection

N_VIEWS = 3


def options(**changes):
    return quick_sections.pseudo_labels_options(**changes)


def model(seen_bias=0.0):
    """A random classifier of labels 0, 2, 3 (seen) and 5, 1 (unseen) over 6 features."""
    rng = np.random.default_rng(0)
    return pixel_classifier.PixelClassifier(
        weight=torch.from_numpy(rng.normal(size=(5, 6))).float(),
        bias=torch.from_numpy(rng.normal(size=5)).float(),
        labels=torch.tensor([0, 2, 3, 5, 1]),
        unseen=torch.tensor([False, False, False, True, True]),
        seen_bias=seen_bias,
    )


def unlabelled(n_images=4, places=30, seed=0, noise=0.3):
    """Rows of places in three views, image by image and view by view, as the dump writes them; weights differ between images."""
    rng = np.random.default_rng(seed)
    tables = []
    for image in range(n_images):
        content = rng.normal(size=(places, 6))
        position = np.stack(np.unravel_index(rng.choice(100, places, replace=False), (10, 10)), axis=1)
        for view in range(N_VIEWS):
            tables.append(
                {
                    "features": (content + noise * rng.normal(size=content.shape)).astype(np.float16),
                    "label": np.full(places, 255, np.uint8),
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
    """Label and probability of every row, one by one, from the definition of softmax."""
    found = []
    for x in table["features"].astype(np.float64):
        logits = classifier.weight.double().numpy() @ x + classifier.bias.double().numpy()
        logits -= classifier.seen_bias * ~classifier.unseen.numpy()
        found.append((int(classifier.labels[logits.argmax()]), 1 / np.exp(logits - logits.max()).sum()))
    return found


def by_hand(classifier, table, rule, p, min_confidence, classes):
    """The rules row by row and group by group."""
    found = predictions(classifier, table)
    allowed = {1, 5} if classes == "unseen" else {0, 1, 2, 3, 5}
    places = list(zip(table["image"].tolist(), *table["position"].T.tolist(), strict=True))
    groups = {}
    for number, (label, confidence) in enumerate(found):
        if table["view"][number] == 0 and label in allowed and confidence >= min_confidence:
            groups.setdefault((places[number][0] if rule == "per_image" else None, label), []).append(number)
    kept = {}
    for (_, label), members in groups.items():
        if rule == "agreement":
            members = [
                number
                for number in members
                if {found[other][0] for other, place in enumerate(places) if place == places[number]} == {label}
            ]
        elif rule == "per_image":
            members = sorted(members, key=lambda number: -found[number][1])[: math.ceil(p * len(members) / 100)]
        else:
            members = sorted(members, key=lambda number: -found[number][1])
            total, passed, count = sum(table["weight"][members]), 0.0, 0
            while count < len(members) and passed < p / 100 * total:
                passed += table["weight"][members[count]]
                count += 1
            members = members[:count]
        kept |= dict.fromkeys(members, label)
    return kept


@pytest.mark.parametrize("rule", ["per_image", "per_dataset", "agreement"])
@pytest.mark.parametrize("classes", ["unseen", "all"])
@pytest.mark.parametrize(("p", "min_confidence", "seen_bias"), [(25.0, 0.0, 0.0), (60.0, 0.5, 1.0), (100.0, 0.0, -1.0)])
def test_rules_are_those_of_their_definition(rule, classes, p, min_confidence, seen_bias):
    classifier, table = model(seen_bias), unlabelled()
    expected = by_hand(classifier, table, rule, p, min_confidence, classes)
    chosen = options(rule=rule, p=p, min_confidence=min_confidence, classes=classes)
    found = selection.select(classifier, table, chosen)
    assert len(expected) > 5
    order = sorted(expected, key=lambda number: (expected[number], number))
    assert found["label"].tolist() == [expected[number] for number in order]
    for name in table.keys() - {"label"}:
        np.testing.assert_array_equal(found[name], table[name][order])


def test_confidence_is_the_probability_over_calibrated_logits():
    table = unlabelled()
    for bias in (0.0, 2.0):
        labels, confidences = selection.predict(model(bias), table["features"], chunk=7)
        expected = predictions(model(bias), table)
        assert labels.tolist() == [label for label, _ in expected]
        np.testing.assert_allclose(confidences, [confidence for _, confidence in expected], rtol=1e-5)


@pytest.mark.parametrize("rule", ["per_image", "per_dataset"])
def test_a_larger_p_keeps_all_that_a_smaller_one_keeps(rule):
    before, sizes = set(), []
    for p in (1.0, 10.0, 25.0, 50.0, 75.0, 100.0):
        found = identities(selection.select(model(1.0), unlabelled(), options(rule=rule, p=p)))
        assert before <= found
        before = found
        sizes.append(len(found))
    assert len(set(sizes)) == len(sizes)
    labels, _ = selection.predict(model(1.0), unlabelled()["features"])
    assert sizes[-1] == (np.isin(labels, [1, 5]) & (unlabelled()["view"] == 0)).sum()


def test_per_image_keeps_some_of_every_image_and_per_dataset_need_not():
    table = unlabelled()
    # One image whose pixels are labelled less surely than any others.
    table["features"][table["image"] == 2] *= np.float16(0.01)
    classifier = dataclasses.replace(model(), bias=torch.tensor([-9.0, -9.0, -9.0, 0.0, -0.01]))
    kept = {
        rule: set(selection.select(classifier, table, options(rule=rule, p=10.0))["image"].tolist())
        for rule in ("per_image", "per_dataset")
    }
    assert kept == {"per_image": {0, 1, 2, 3}, "per_dataset": {0, 1, 3}}


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    p=st.integers(1, 100),
    levels=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_of_equally_weighted_groups_p_per_cent_are_kept_rounded_up(counts, p, levels, seed):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    confidences = rng.integers(0, levels, len(groups)) / 7
    kept = selection.most_confident([groups], confidences, np.full(len(groups), 2.7, np.float32), float(p))
    for group, count in enumerate(counts):
        own = np.flatnonzero(groups == group)
        assert kept[own].sum() == -(-p * count // 100)
        # Sorting is stable: of equals the first.
        ranked = sorted(own, key=lambda number: -confidences[number])
        assert set(own[kept[own]]) == set(ranked[: kept[own].sum()])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_the_rows_does_not_matter(seed):
    table = unlabelled()
    order = np.random.default_rng(seed).permutation(len(table["label"]))
    shuffled = {name: column[order] for name, column in table.items()}
    for rule in ("per_image", "per_dataset", "agreement"):
        chosen = options(rule=rule, p=30.0)
        expected = identities(selection.select(model(), table, chosen))
        assert identities(selection.select(model(), shuffled, chosen)) == expected


def test_where_views_are_copies_agreement_keeps_every_unseen_label():
    table = unlabelled(noise=0.0)
    kept = selection.select(model(), table, options(rule="agreement", p=1.0))
    labels, _ = selection.predict(model(), table["features"])
    assert len(kept["label"]) == (np.isin(labels, [1, 5]) & (table["view"] == 0)).sum() > 0
    assert len(selection.select(model(), unlabelled(noise=2.0), options(rule="agreement"))["label"]) < len(
        kept["label"]
    )


def test_agreement_with_one_view_is_explained():
    table = {name: column[unlabelled()["view"] == 0] for name, column in unlabelled().items()}
    with pytest.raises(errors.UserError, match=r"several views, found 1; set features\.unlabelled_views"):
        selection.select(model(), table, options(rule="agreement"))


@pytest.mark.parametrize("rule", ["per_image", "per_dataset", "agreement"])
def test_nothing_gives_nothing(rule):
    none = {name: column[:0] for name, column in unlabelled().items()}
    found = selection.select(model(), none, options(rule=rule))
    assert {name: column.shape for name, column in found.items()} == {n: c.shape for n, c in none.items()}
    only_seen = dataclasses.replace(model(), unseen=torch.zeros(5, dtype=torch.bool))
    assert len(selection.select(only_seen, unlabelled(), options(rule=rule))["label"]) == 0


def test_labels_that_are_there_are_not_read():
    table = unlabelled()
    expected = selection.select(model(), table, options())
    found = selection.select(model(), table | {"label": np.arange(len(table["label"]), dtype=np.uint8)}, options())
    assert all(found[name].tobytes() == expected[name].tobytes() for name in expected)


@pytest.mark.parametrize(
    "change", [{"p": 0.0}, {"p": 100.5}, {"rule": "best"}, {"min_confidence": 1.1}, {"classes": "seen"}]
)
def test_senseless_params_are_refused(change):
    with pytest.raises(params.ParamsError, match=f"pseudo_labels.{next(iter(change))}"):
        options(**change)
