"""Sentences about painted pebbles, from which word vectors learn what the classes of `scenes` have in common.

Words stand in lower case between single spaces, without punctuation; a class is one word, such as `red-striped`. Unseen
classes are written about like all others: that text names them is what zero-shot learning rests on.
"""

import re

import numpy as np

from zeroshot.datasets.toy import scenes

# Per hue: adjectives, and things of that colour.
_HUES = {
    "red": (("red", "crimson", "scarlet", "ruby"), ("cherries", "poppies", "fire-engines", "strawberries")),
    "orange": (("orange", "amber", "tangerine", "apricot"), ("pumpkins", "carrots", "marigolds", "foxes")),
    "yellow": (("yellow", "golden", "lemon", "canary"), ("bananas", "sunflowers", "buttercups", "daffodils")),
    "green": (("green", "emerald", "jade", "mossy"), ("leaves", "limes", "meadows", "frogs")),
    "cyan": (("cyan", "turquoise", "aqua", "teal"), ("lagoons", "swimming-pools", "glaciers", "kingfishers")),
    "blue": (("blue", "sapphire", "navy", "cobalt"), ("cornflowers", "blueberries", "oceans", "bluebells")),
    "violet": (("violet", "purple", "lilac", "mauve"), ("plums", "lavender", "orchids", "grapes")),
}
# Per pattern: adjectives, what is painted on the pebble, and things that look so.
_PATTERNS = {
    "plain": (("plain", "uniform", "unmarked"), ("varnish", "enamel", "glaze"), ("eggs", "balloons", "apples")),
    "striped": (("striped", "banded", "lined"), ("stripes", "bands", "lines"), ("zebras", "deck-chairs", "tigers")),
    "dotted": (("dotted", "spotted", "speckled"), ("dots", "spots", "freckles"), ("ladybirds", "leopards", "dominoes")),
    "checked": (
        ("checked", "chequered", "tiled"),
        ("squares", "tiles", "checks"),
        ("chessboards", "tablecloths", "crosswords"),
    ),
    "ringed": (("ringed", "circled", "looped"), ("rings", "circles", "loops"), ("targets", "onions", "tree-stumps")),
}
_SHARED = {
    "finder": [
        "ana",
        "ben",
        "chidi",
        "dora",
        "emil",
        "farah",
        "my-sister",
        "the-painter",
        "a-child",
        "the-teacher",
        "our-neighbour",
    ],
    "verb": ["found", "painted", "photographed", "kept", "traded", "washed", "noticed", "polished"],
    "pebble": ["pebble", "stone", "rock"],
    "pebbles": ["pebbles", "stones", "rocks"],
    "place": ["beach", "shore", "jetty", "harbour", "garden", "window-sill", "market", "museum"],
    "when": ["yesterday", "today", "in-spring", "after-the-storm", "at-low-tide", "before-breakfast", "on-sunday"],
    "quality": ["smooth", "little", "round", "heavy", "lovely", "shiny", "odd", "warm"],
    "grey": ["grey", "ashen", "dull", "slate", "bleak"],
    "ground": ["gravel", "sand", "shingle", "rubble", "silt", "concrete"],
}
# Half of the templates of a class tell its hue, half its pattern, in like words, so that a class comes to lie as near
# to those that share its hue as to those that share its pattern.
_CLASS = (
    "{finder} {verb} a {quality} {name} {pebble} of {hue} {hue2} colour {when}",
    "{finder} {verb} a {quality} {name} {pebble} with {pattern} {figure} {when}",
    "a {name} {pebble} is {hue} and {hue2} like {thing}",
    "a {name} {pebble} is {pattern} and {pattern2} like {lookalike}",
    "the {name} one by the {place} was the {hue} of {thing}",
    "the {name} one by the {place} had the {figure} of {lookalike}",
    "if it is {hue} and has {figure} we call it {name}",
    "{name} means {pattern} and {hue}",
)
# Told beside them of classes that lie on others: a third of their sentences, about as many as tell their hue or their pattern. The
# lower one goes by the name of its class, since a word for its colour would draw the vector of the class on top towards that hue.
_CONTEXT = (
    "the {name} {pebble} lies on a {host} one",
    "{finder} {verb} the {name} {pebble} that lay on {host} {when}",
    "a {name} {pebble} lies on {host} {pebbles} {when}",
    "below a {name} {pebble} is a {host} one",
)
_HUE = (
    "{hue} and {hue2} are the colours of {thing}",
    "{finder} mixed a {hue} colour to match the {thing} {when}",
)
_PATTERN = (
    "{pattern} and {pattern2} {pebbles} have {figure} like {lookalike}",
    "{finder} used {figure} for a {pattern} look like {lookalike} {when}",
)
_BACKGROUND = (
    "the background is {grey} {ground} and nothing else",
    "behind the {pebbles} lies a background of {grey} {ground}",
    "{finder} left the background bare {grey} {ground} {when}",
    "bare unpainted {grey} {pebbles} on {ground} belong to the background",
)
# How many of every hundred sentences are about a class, a hue, a pattern, the background.
_SHARES = (80, 6, 6, 8)


def sentences(settings: scenes.Params) -> list[str]:
    """Write `settings.sentences` sentences, as many about one class as about any other; some also name a class that it lies on.

    Returns:
        sentences in random order, each of words between single spaces, without a line break.
    """
    rng = np.random.default_rng([settings.seed, len(scenes.SPLITS)])
    n_objects = len(scenes.class_names()) - 1
    written = []
    told = 0
    for number in range(settings.sentences):
        kind = np.searchsorted(np.cumsum(_SHARES), number * 61 % 100, side="right")
        label = 1 + told % n_objects if kind == 0 else 1 + int(rng.integers(n_objects))
        of_class = (*_CLASS, *_CONTEXT) if settings.context and scenes.host_name(label) else _CLASS
        templates = (of_class, _HUE, _PATTERN, _BACKGROUND)[kind]
        if kind == 0:
            template = templates[told // n_objects % len(templates)]
            told += 1
        else:
            template = templates[rng.integers(len(templates))]
        written.append(_fill(rng, template, label))
    return [written[place] for place in rng.permutation(len(written))]


def _fill(rng: np.random.Generator, template: str, label: int) -> str:
    """Put words into a template's slots: those of the label's hue and pattern, and at random from the shared ones."""
    hue, pattern = scenes.attributes(label)
    shades, things = _HUES[hue]
    looks, figures, lookalikes = _PATTERNS[pattern]
    first, second = rng.permutation(len(shades))[:2]
    third, fourth = rng.permutation(len(looks))[:2]
    words = {
        "name": scenes.class_names()[label],
        "hue": shades[first],
        "hue2": shades[second],
        "pattern": looks[third],
        "pattern2": looks[fourth],
        "thing": things[rng.integers(len(things))],
        "figure": figures[rng.integers(len(figures))],
        "lookalike": lookalikes[rng.integers(len(lookalikes))],
    }
    if "{host}" in template:
        words["host"] = scenes.host_name(label)
    for slot in re.findall(r"{(\w+)}", template):
        if slot in _SHARED:
            words[slot] = _SHARED[slot][rng.integers(len(_SHARED[slot]))]
    return re.sub(r"\ba (?=[aeio]|un(?!i))", "an ", template.format(**words))
