"""The table that `zeroshot add-class` prints."""

import tabulate

from zeroshot.prediction import extension


def render(extended: extension.Extended) -> str:
    """Return the accuracy of each class before and after, as a table, and a line on what was measured."""
    rows = [
        (name, extended.before.get(name), share, ", ".join(extended.words.get(name, [])))
        for name, share in extended.after.items()
    ]
    table = tabulate.tabulate(rows, ("class", "before", "after", "word vector of"), floatfmt=".1f", missingval="-")
    return (
        f"{table}\n"
        "Per cent of a class's features that get its label: real features of training images for classes with masks, synthetic features "
        "for the others. The figures show whether old classes suffer; only masks can show how well a new class is found."
    )
