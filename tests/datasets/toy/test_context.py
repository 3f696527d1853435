"""Pebbles that lie on hosts: the pairs of classes, their effect on image and mask, and their sentences in the corpus."""

import collections
import hashlib

import numpy as np
import pytest

from tests.support import small_toy
from zeroshot.datasets.toy import corpus, scenes


def settings(context: float) -> scenes.Params:
    return small_toy.settings(context=context, sentences=3000)


def patterned_labels() -> list[int]:
    return [label for label in range(1, len(scenes.class_names())) if scenes.attributes(label)[1] != "plain"]


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (0.0, "372621a8d3920f8940838851da4405f6348f493d10a146e9e873a8e7cffb7e91"),
        (0.8, "62f1524db26ec9dc798663f6cfb81d961871e09abfa30eb5cec5f1f0a75d7237"),
    ],
)
def test_images_and_corpus_equal_those_of_the_published_results(context, expected):
    digest = hashlib.sha256("\n".join(corpus.sentences(settings(context))).encode())
    for index in range(20):
        image, mask = scenes.draw(settings(context), "train", index)
        # The digests are of 8-bit masks, in which 65535 is 255.
        digest.update(image.tobytes() + mask.astype(np.uint8).tobytes())
    assert digest.hexdigest() == expected


@pytest.mark.parametrize("context", [0.0, 0.4, 1.0])
def test_given_share_of_patterned_pebbles_has_the_host_of_their_class(context):
    pairs = [
        pair
        for index in range(600)
        for pair in zip(
            scenes.draw_labels(settings(context), "val", index),
            scenes.draw_hosts(settings(context), "val", index),
            strict=True,
        )
    ]
    patterned = [(label, host) for label, host in pairs if scenes.attributes(label)[1] != "plain"]
    assert all(host is None for label, host in pairs if scenes.attributes(label)[1] == "plain")
    pairs_with_host = {(label, host) for label, host in patterned if host is not None}
    assert sum(host is not None for _, host in patterned) / len(patterned) == pytest.approx(context, abs=0.05)
    expected = {(label, scenes.class_names().index(scenes.host_name(label))) for label in patterned_labels()}
    assert pairs_with_host == (expected if context else set())


def test_no_host_has_the_same_or_a_neighbouring_hue():
    wheel = list(scenes.HUES)
    for label in patterned_labels():
        hue, host = scenes.attributes(label)[0], scenes.host_name(label).removesuffix("-plain")
        assert (wheel.index(host) - wheel.index(hue)) % len(wheel) not in (0, 1, len(wheel) - 1)


def test_each_host_has_four_classes_of_different_hues_and_patterns():
    guests = collections.defaultdict(list)
    for label in patterned_labels():
        guests[scenes.host_name(label)].append(scenes.attributes(label))
    assert set(guests) == {f"{hue}-plain" for hue in scenes.HUES}
    for traits in guests.values():
        assert all(len(set(values)) == 4 for values in zip(*traits, strict=True))


def test_more_context_adds_hosts_and_changes_none():
    for index in range(50):
        some, all_of_them = (scenes.draw_hosts(settings(context), "train", index) for context in (0.5, 1.0))
        assert all(host in (None, other) for host, other in zip(some, all_of_them, strict=True))


def test_host_surrounds_its_guest():
    alone = 0
    for index in range(20):
        _, mask = scenes.draw(settings(1.0), "train", index)
        labels, hosts = (draw(settings(1.0), "train", index) for draw in (scenes.draw_labels, scenes.draw_hosts))
        if len(labels) > 1 or hosts == (None,):
            continue
        alone += 1
        (label,), (host,) = labels, hosts
        inner, both = ((np.isin(mask, shown)).nonzero() for shown in ([label], [label, host]))
        for axis in (0, 1):
            assert both[axis].min() <= inner[axis].min() and both[axis].max() >= inner[axis].max()
        assert (mask == host).sum() > 20 and (mask == label).sum() > 20
    assert alone >= 3


@pytest.mark.parametrize("name", ["red-checked", "red-ringed"])
def test_colour_of_a_guest_is_half_that_of_its_host_and_the_host_is_1_5_times_as_large(name):
    label = scenes.class_names().index(name)
    host = scenes.class_names().index(scenes.host_name(label))
    rng = np.random.default_rng(0)
    alone = [scenes._painted(rng, (label,), (None,))[0] for _ in range(300)]
    pairs = [scenes._painted(rng, (label,), (host,)) for _ in range(300)]
    unhosted, lower_tones, upper_tones = (
        np.mean([pebble.tones[0] for pebble in shown], axis=0) for shown in (alone, *zip(*pairs, strict=True))
    )
    np.testing.assert_allclose(upper_tones, (unhosted + lower_tones) / 2, atol=0.015)
    assert np.abs(unhosted - lower_tones).max() > 0.2
    for lower, upper in pairs:
        assert (lower.label, upper.label) == (host, label) and lower.radius == pytest.approx(1.5 * upper.radius)


def named(context: float) -> list[tuple[str, ...]]:
    """Return the object classes that each sentence names, in the order of the sentence."""
    names = scenes.class_names()[1:]
    return [tuple(word for word in text.split() if word in names) for text in corpus.sentences(settings(context))]


def test_third_of_the_sentences_about_a_class_name_its_host():
    assert {len(names) for names in named(0.0)} == {0, 1}
    sentences = [names for names in named(1.0) if names]
    pairs = collections.Counter(names for names in sentences if len(names) == 2)
    names = scenes.class_names()
    assert set(pairs) == {(names[label], scenes.host_name(label)) for label in patterned_labels()}
    about = collections.Counter(classes[0] for classes in sentences)
    assert max(about.values()) - min(about.values()) <= 1
    assert all(count == pytest.approx(about[name] / 3, abs=4) for (name, _), count in pairs.items())
