"""Pebbles that lie on others: which on which, what it does to picture and mask, and that the corpus tells it."""

import collections
import hashlib

import numpy as np
import pytest

from tests import small_toy
from zs3.toy import corpus, scenes


def settings(context: float) -> scenes.Params:
    return small_toy.settings(context=context, sentences=3000)


def test_without_context_pictures_and_corpus_are_those_of_the_first_data_set():
    digest = hashlib.sha256("\n".join(corpus.sentences(settings(0.0))).encode())
    for index in range(20):
        image, mask = scenes.draw(settings(0.0), "train", index)
        digest.update(image.tobytes() + mask.tobytes())
    assert digest.hexdigest() == "372621a8d3920f8940838851da4405f6348f493d10a146e9e873a8e7cffb7e91"


@pytest.mark.parametrize("context", [0.0, 0.4, 1.0])
def test_a_share_of_the_pebbles_lies_on_plain_ones_of_their_hues(context):
    pairs = [
        pair
        for index in range(600)
        for pair in zip(
            scenes.draw_labels(settings(context), "val", index),
            scenes.draw_hosts(settings(context), "val", index),
            strict=True,
        )
    ]
    lying = [(label, scenes.attributes(host)) for label, host in pairs if host is not None]
    assert len(lying) / len(pairs) == pytest.approx(context, abs=0.05)
    found = collections.defaultdict(set)
    for label, (host_hue, pattern) in lying:
        assert pattern == "plain"
        found[label].add(host_hue)
    assert all(found[label] == set(scenes.host_hues(label)) for label in found)
    assert len(found) == (len(scenes.class_names()) - 1 if context else 0)


def test_no_hue_lies_on_itself_or_one_beside_it_and_every_one_is_as_often_below():
    classes = range(1, len(scenes.class_names()))
    below = collections.Counter(host for label in classes for host in scenes.host_hues(label))
    assert set(below) == set(scenes.HUES) and set(below.values()) == {2 * len(scenes.PATTERNS)}
    wheel = list(scenes.HUES)
    for label in classes:
        place = wheel.index(scenes.attributes(label)[0])
        apart = {(wheel.index(host) - place) % len(wheel) for host in scenes.host_hues(label)}
        assert len(apart) == 2 and not apart & {0, 1, len(wheel) - 1}


def test_neither_hue_nor_pattern_alone_tells_what_a_class_lies_on():
    classes = range(1, len(scenes.class_names()))
    for trait in (0, 1):
        hosts = collections.defaultdict(set)
        for label in classes:
            hosts[scenes.attributes(label)[trait]].add(frozenset(scenes.host_hues(label)))
        assert all(len(found) >= 3 for found in hosts.values())


def test_more_context_only_adds_to_what_lies_on_others():
    for index in range(50):
        some, all_of_them = (scenes.draw_hosts(settings(context), "train", index) for context in (0.5, 1.0))
        assert all(host in (None, other) for host, other in zip(some, all_of_them, strict=True))


def test_a_host_is_round_about_what_lies_on_it():
    for index in range(20):
        _, mask = scenes.draw(settings(1.0), "train", index)
        labels, hosts = (draw(settings(1.0), "train", index) for draw in (scenes.draw_labels, scenes.draw_hosts))
        if len(labels) > 1:
            continue
        (label,), (host,) = labels, hosts
        inner, both = ((np.isin(mask, shown)).nonzero() for shown in ([label], [label, host]))
        for axis in (0, 1):
            assert both[axis].min() <= inner[axis].min() and both[axis].max() >= inner[axis].max()
        assert (mask == host).sum() > 20 and (mask == label).sum() > 20


def test_a_host_shines_on_what_lies_on_it():
    """Alone on a blue pebble and alone on a yellow one, red ones have more of the blue and of the green light."""
    shown = {}
    for host in (None, "blue", "yellow"):
        below = None if host is None else scenes.class_names().index(scenes.host_name(host))
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
    for name, host in below:
        assert host in [scenes.host_name(hue) for hue in scenes.host_hues(names.index(name))]
    assert {name for name, _ in below} == set(names[1:])


def test_classes_that_lie_on_like_hosts_are_many_enough_to_stand_in_for_one_another():
    alike = collections.Counter(frozenset(scenes.host_hues(label)) for label in range(1, len(scenes.class_names())))
    assert set(alike.values()) == {5}
