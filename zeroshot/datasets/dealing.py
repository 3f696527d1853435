"""The classes of the objects in generated images, dealt like cards: equally many of every class and every number of objects."""

from collections.abc import Sequence

import numpy as np


def deal(counts_key: Sequence[int], decks_key: Sequence[int], counts: range, n_classes: int, index: int) -> list[int]:
    """Return the classes, 0 to `n_classes` - 1, of the objects in one image; they do not depend on the number of images.

    Counts and classes are balanced for every number of images: each block of `len(counts)` images has every count once, and each block
    of as many objects as there are classes has every class once.

    Args:
        counts_key, decks_key: seeds of the random streams for the numbers of objects and for the classes, without their last number.
        counts: the numbers of objects that an image may have.
        n_classes: number of classes.
        index: index of the image, from 0.
    """
    block, place = divmod(index, len(counts))
    shuffled = counts.start + np.random.default_rng([*counts_key, block]).permutation(len(counts))
    first = block * sum(counts) + int(shuffled[:place].sum())
    dealt = []
    for card in range(first, first + int(shuffled[place])):
        deck, position = divmod(card, n_classes)
        order = np.random.default_rng([*decks_key, deck]).permutation(n_classes)
        dealt.append(int(order[position]))
    return dealt
