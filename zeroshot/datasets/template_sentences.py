"""Corpora of generated data sets: sentences from templates, from which word vectors learn what classes have in common."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

# Templates of a kind of sentence and a label, and the words for the slots of a template: functions of the data set.
Templates = Callable[[int, int], Sequence[str]]
Words = Callable[[np.random.Generator, str, int], dict[str, str]]


def write(
    rng: np.random.Generator,
    number: int,
    shares: Sequence[int],
    n_objects: int,
    templates: Templates,
    words: Words,
    shared: Mapping[str, Sequence[str]],
) -> list[str]:
    """Write sentences, equally many about each class.

    Args:
        rng: source of all random choices.
        number: number of sentences.
        shares: of every 100 sentences, the number of each kind. Kind 0 is about a class.
        n_objects: number of object classes, whose labels are 1 to `n_objects`.
        templates: called with kind and label. Sentences about a class use its templates in turn, others one at random.
        words: called with the generator, a template and a label; returns the words for slots.
        shared: words of the slots that have random words, whatever the class.

    Returns:
        sentences in random order, each with words in lower case, separated by single spaces, without line breaks.
    """
    written = []
    n_class_sentences = 0
    for place in range(number):
        kind = int(np.searchsorted(np.cumsum(shares), place * 61 % 100, side="right"))
        label = 1 + n_class_sentences % n_objects if kind == 0 else 1 + int(rng.integers(n_objects))
        choices = templates(kind, label)
        if kind == 0:
            template = choices[n_class_sentences // n_objects % len(choices)]
            n_class_sentences += 1
        else:
            template = choices[int(rng.integers(len(choices)))]
        filled = words(rng, template, label)
        for slot in re.findall(r"{(\w+)}", template):
            if slot in shared:
                filled[slot] = shared[slot][int(rng.integers(len(shared[slot])))]
        written.append(re.sub(r"\ba (?=[aeio]|un(?!i))", "an ", template.format(**filled)))
    return [written[place] for place in rng.permutation(len(written))]
