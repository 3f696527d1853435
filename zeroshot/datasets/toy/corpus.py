"""Sentences about painted pebbles, from which word vectors learn what the classes of `scenes` have in common.

Words are in lower case, separated by single spaces, without punctuation. A class is one word, such as `red-striped`. Unseen classes occur
as often as all others, because zero-shot learning needs text about them.
"""

import numpy as np

from zeroshot.datasets import template_sentences
from zeroshot.datasets.toy import scenes

# Hue -> adjectives, and things of that colour.
_HUES = {
    "red": (("red", "crimson", "scarlet", "ruby"), ("cherries", "poppies", "fire-engines", "strawberries")),
    "orange": (("orange", "amber", "tangerine", "apricot"), ("pumpkins", "carrots", "marigolds", "foxes")),
    "yellow": (("yellow", "golden", "lemon", "canary"), ("bananas", "sunflowers", "buttercups", "daffodils")),
    "green": (("green", "emerald", "jade", "mossy"), ("leaves", "limes", "meadows", "frogs")),
    "cyan": (("cyan", "turquoise", "aqua", "teal"), ("lagoons", "swimming-pools", "glaciers", "kingfishers")),
    "blue": (("blue", "sapphire", "navy", "cobalt"), ("cornflowers", "blueberries", "oceans", "bluebells")),
    "violet": (("violet", "purple", "lilac", "mauve"), ("plums", "lavender", "orchids", "grapes")),
}
# Pattern -> adjectives, what is painted on the pebble, and things with that pattern.
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
# Half of the templates describe the hue of a class and half its pattern, in similar words. The vector of a class is then as similar to
# the classes with its hue as to the classes with its pattern.
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
# Additional templates for classes whose pebbles lie on a host: a third of their sentences, about as many as describe the hue or the
# pattern. The host has its class name, because a colour word would move the vector of the upper class towards that hue.
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
# Of every 100 sentences, the number about a class, about a hue, about a pattern, and about the background.
_SHARES = (80, 6, 6, 8)


def sentences(settings: scenes.Params) -> list[str]:
    """Write `settings.sentences` sentences, equally many about each class; with `settings.context`, some also name its host."""

    def templates(kind: int, label: int) -> tuple[str, ...]:
        of_class = (*_CLASS, *_CONTEXT) if settings.context and scenes.host_name(label) else _CLASS
        return (of_class, _HUE, _PATTERN, _BACKGROUND)[kind]

    rng = np.random.default_rng([settings.seed, len(scenes.SPLITS)])
    n_objects = len(scenes.class_names()) - 1
    return template_sentences.write(rng, settings.sentences, _SHARES, n_objects, templates, _words, _SHARED)


def _words(rng: np.random.Generator, template: str, label: int) -> dict[str, str]:
    """Return words for the label's hue and pattern, and the name of its host if the template asks for it."""
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
        words["host"] = str(scenes.host_name(label))
    return words
