"""Sentences about paper shapes, from which word vectors learn what the classes of `arrangements` have in common.

A class is one word, such as `red-disk`. Unseen classes occur as often as all others, because zero-shot learning needs text about them.
"""

import numpy as np

from zeroshot.datasets import template_sentences
from zeroshot.datasets.shapes import arrangements

# Shape -> adjectives, what it has, and things of that shape.
_SHAPES = {
    "disk": (("round", "circular", "rounded"), ("one-curve", "no-corner", "a-rim"), ("coins", "plates", "full-moons")),
    "square": (
        ("square-cut", "right-angled", "boxy"),
        ("four-corners", "equal-sides", "parallel-edges"),
        ("tiles", "napkins", "postage-stamps"),
    ),
    "triangle": (
        ("triangular", "three-sided", "wedge-like"),
        ("three-corners", "a-base", "an-apex"),
        ("road-signs", "roof-gables", "bunting-flags"),
    ),
    "star": (("starry", "five-pointed", "spiky"), ("five-tips", "rays", "notches"), ("starfish", "sheriff-badges", "tree-tops")),
    "ring": (("ring-like", "annular", "hollow"), ("a-hole", "an-opening", "two-circles"), ("doughnuts", "hoops", "lifebuoys")),
    "cross": (("cross-like", "cruciform", "four-armed"), ("four-arms", "two-bars", "a-crossing"), ("plus-signs", "swiss-flags", "mills")),
}  # fmt: skip
# Look -> adjectives, what gives it, and things that look so.
_LOOKS = {
    "red": (("crimson", "scarlet", "ruby"), ("cadmium", "carmine", "vermilion"), ("cherries", "poppies", "fire-engines")),
    "yellow": (("golden", "lemony", "canary"), ("ochre", "saffron", "turmeric"), ("bananas", "sunflowers", "buttercups")),
    "green": (("emerald", "jade", "mossy"), ("viridian", "malachite", "chlorophyll"), ("limes", "meadows", "frogs")),
    "blue": (("sapphire", "navy", "cobalt"), ("indigo", "ultramarine", "woad"), ("oceans", "cornflowers", "blueberries")),
    "striped": (("banded", "lined", "streaky"), ("stripes", "bands", "lines"), ("zebras", "deck-chairs", "sailors")),
    "dotted": (("spotted", "speckled", "polka"), ("dots", "spots", "specks"), ("ladybirds", "toadstools", "dominoes")),
}  # fmt: skip
_SHARED = {
    "maker": ["ana", "ben", "chidi", "dora", "emil", "farah", "my-sister", "the-printer", "a-child", "the-teacher"],
    "verb": ["cut", "folded", "glued", "kept", "traded", "pinned", "noticed", "sketched"],
    "piece": ["piece", "cut-out", "shape"],
    "pieces": ["pieces", "cut-outs", "shapes"],
    "place": ["table", "window", "wall", "desk", "shelf", "door", "lamp", "notebook"],
    "when": ["yesterday", "today", "in-spring", "after-lunch", "at-school", "before-breakfast", "on-sunday"],
    "quality": ["thin", "little", "neat", "stiff", "lovely", "shiny", "odd", "warm"],
    "grey": ["grey", "rough", "dull", "plain", "bleak"],
    "ground": ["felt", "linen", "cardboard", "canvas", "wood", "blotter"],
}
# Half of the templates describe the shape of a class and half its look, in similar words. The vector of a class is then as similar to
# the classes of its shape as to the classes of its look.
_CLASS = (
    "{maker} {verb} a {quality} {name} {piece} of {outline} and {outline2} form {when}",
    "{maker} {verb} a {quality} {name} {piece} of {shade} and {shade2} paper {when}",
    "a {name} {piece} has {feature} like {thing}",
    "a {name} {piece} has {pigment} like {lookalike}",
    "the {name} one by the {place} was as {outline} as {thing}",
    "the {name} one by the {place} was as {shade} as {lookalike}",
    "if it is {outline} and {shade} we call it {name}",
    "{name} means {pigment} with {feature}",
)
_SHAPE = (
    "{outline} and {outline2} {pieces} have {feature} like {thing}",
    "{maker} drew {feature} for an outline {outline} like {thing} {when}",
)
_LOOK = (
    "{shade} and {shade2} {pieces} have {pigment} like {lookalike}",
    "{maker} mixed {pigment} for paper {shade} like {lookalike} {when}",
)
_BACKGROUND = (
    "the background is {grey} {ground} and nothing else",
    "behind the {pieces} lies a background of {grey} {ground}",
    "{maker} left the background bare {grey} {ground} {when}",
    "bare {grey} {ground} belongs to the background",
)
# Of every 100 sentences, the number about a class, about a shape, about a look, and about the background.
_SHARES = (80, 6, 6, 8)


def sentences(settings: arrangements.Params) -> list[str]:
    """Write `settings.sentences` sentences, equally many about each class."""
    rng = np.random.default_rng([settings.seed, len(arrangements.SPLITS)])
    classes = arrangements.categories()

    def words(rng: np.random.Generator, _: str, label: int) -> dict[str, str]:
        category = classes[label - 1]
        outlines, features, things = _SHAPES[category.shape]
        shades, pigments, lookalikes = _LOOKS[category.look]
        first, second = rng.permutation(len(outlines))[:2]
        third, fourth = rng.permutation(len(shades))[:2]
        return {
            "name": category.name,
            "outline": outlines[first],
            "outline2": outlines[second],
            "shade": shades[third],
            "shade2": shades[fourth],
            "feature": features[rng.integers(len(features))],
            "pigment": pigments[rng.integers(len(pigments))],
            "thing": things[rng.integers(len(things))],
            "lookalike": lookalikes[rng.integers(len(lookalikes))],
        }

    def templates(kind: int, _: int) -> tuple[str, ...]:
        return (_CLASS, _SHAPE, _LOOK, _BACKGROUND)[kind]

    return template_sentences.write(rng, settings.sentences, _SHARES, len(classes), templates, words, _SHARED)
