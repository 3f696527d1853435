"""Pebbles that lie on others: which on which, what it does to picture and mask, and that the corpus tells it."""

import collections
import hashlib

import numpy as np
import pytest

from tests import small_toy
from zs3.toy import corpus, scenes


def settings(context: float) -> scenes.Params:
    return small_toy.settings(context=context, sentences=3000)


def patterned_labels() -> list[int]:
    return [label for label in range(1, len(scenes.class_names())) if scenes.attributes(label)[1] != "plain"]


def test_without_context_pictures_and_corpus_are_those_of_the_first_data_set():
    digest = hashlib.sha256("\n".join(corpus.sentences(settings(0.0))).encode())
    for index in range(20):
        image, mask = scenes.draw(settings(0.0), "train", index)
        digest.update(image.tobytes() + mask.tobytes())
    assert digest.hexdigest() == "372621a8d3920f8940838851da4405f6348f493d10a146e9e873a8e7cffb7e91"


@pytest.mark.parametrize("context", [0.0, 0.4, 1.0])
def test_a_share_of_the_patterned_pebbles_lies_on_plain_ones_of_their_class(context):
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
    lying = {(label, host) for label, host in patterned if host is not None}
    assert sum(host is not None for _, host in patterned) / len(patterned) == pytest.approx(context, abs=0.05)
    expected = {(label, scenes.class_names().index(scenes.host_name(label))) for label in patterned_labels()}
    assert lying == (expected if context else set())


def test_no_hue_lies_on_itself_or_one_beside_it():
    wheel = list(scenes.HUES)
    for label in patterned_labels():
        hue, host = scenes.attributes(label)[0], scenes.host_name(label).removesuffix("-plain")
        assert (wheel.index(host) - wheel.index(hue)) % len(wheel) not in (0, 1, len(wheel) - 1)


def test_classes_that_share_a_host_share_neither_hue_nor_pattern_and_are_enough_to_stand_in_for_one_another():
    guests = collections.defaultdict(list)
    for label in patterned_labels():
        guests[scenes.host_name(label)].append(scenes.attributes(label))
    assert set(guests) == {f"{hue}-plain" for hue in scenes.HUES}
    for traits in guests.values():
        assert all(len(set(values)) == 4 for values in zip(*traits, strict=True))


def test_more_context_only_adds_to_what_lies_on_others():
    for index in range(50):
        some, all_of_them = (scenes.draw_hosts(settings(context), "train", index) for context in (0.5, 1.0))
        assert all(host in (None, other) for host, other in zip(some, all_of_them, strict=True))


def test_a_host_is_round_about_what_lies_on_it():
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


def test_a_host_shines_on_what_lies_on_it():
    """Alone on a blue pebble and alone on a yellow one, red ones have more of the blue and of the green light."""
    shown = {}
    for host in (None, "blue", "yellow"):
        below = None if host is None else scenes.class_names().index(f"{host}-plain")
        pebble = scenes._painted(np.random.default_rng(0), (1,), (below,))[-1]
        assert scenes.attributes(pebble.label) == ("red", "plain")
        shown[host] = pebble.tones[0]
    blue, yellow = shown["blue"], shown["yellow"]
    assert blue[2] > shown[None][2] + 0.05 and yellow[1] > shown[None][1] + 0.05 and blue[2] > yellow[2] + 0.05


def test_the_corpus_tells_what_each_class_lies_on():
    plain, told = (corpus.sentences(settings(context)) for context in (0.0, 1.0))
    assert not any(" lies on " in sentence for sentence in plain)
    below = collections.Counter()
    for sentence in told:
        if " lies on " in sentence:
            name, host = (word for word in sentence.split() if word in scenes.class_names())
            below[name, host] += 1
    names = scenes.class_names()
    assert set(below) == {(names[label], scenes.host_name(label)) for label in patterned_labels()}
