"""The table that `zeroshot add-class` prints."""

import shlex

import tabulate

from zeroshot.prediction import extension


def render(extended: extension.Extended) -> str:
    """Return the accuracy of each class before and after, as a table, a line on what was measured, and warnings.

    There is a warning for each old class of `Extended.losses`, and a last line that says what to do. For a model of szn the table has
    the nearest other class of each new one, since no features are measured.
    """
    if extended.nearest:
        near = [
            (name, ", ".join(extended.words[name]), other, cosine) for name, (other, cosine) in extended.nearest.items()
        ]
        table = tabulate.tabulate(near, ("new class", "word vector of", "nearest class", "cosine"), floatfmt=".2f")
        return (
            f"{table}\n"
            "A pixel gets the class with the nearest vector, so of two classes with a cosine near 1 each takes pixels of the other. Only "
            "masks can show how well a new class is found."
        )
    rows = [
        (name, extended.before.get(name), share, ", ".join(extended.words.get(name, [])))
        for name, share in extended.after.items()
    ]
    table = tabulate.tabulate(rows, ("class", "before", "after", "word vector of"), floatfmt=".1f", missingval="-")
    text = (
        f"{table}\n"
        "Per cent of a class's features that get its label: real features of training images for classes with masks, synthetic features "
        "for the others. The figures show whether old classes suffer; only masks can show how well a new class is found."
    )
    if not extended.losses:
        return text
    warnings = [
        f"Warning: `{loss.old}` loses {loss.points:.1f} points, mostly to the new class `{loss.new}`; "
        f"the cosine similarity of their vectors is {loss.cosine:.2f}."
        for loss in extended.losses
    ]
    new = " ".join(sorted({shlex.quote(loss.new) for loss in extended.losses}))
    remedy = (
        "If an old class and a new one are the same thing, or their vectors are alike, add the new class under another name or with other "
        f"`--words`, or leave it out: `zeroshot remove-class {new}`."
    )
    return "\n".join([text, *warnings, remedy])
