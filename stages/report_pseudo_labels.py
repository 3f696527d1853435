"""Compare the pseudo-labels with the labels held back, for people: no stage reads what this one writes."""

import argparse
import pathlib
from collections.abc import Iterable
from typing import Any

from zeroshot.base import errors, storage
from zeroshot.cache import index, rows
from zeroshot.datasets import splits
from zeroshot.zs3net.pseudo_labels import later_rounds, precision


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=pathlib.Path, required=True)
    parser.add_argument("--features", type=pathlib.Path, required=True, help="cache of unlabelled pixels")
    parser.add_argument("--pseudo", type=pathlib.Path, required=True, help="cache of pseudo-labelled pixels")
    parser.add_argument("--later-rounds", type=pathlib.Path, required=True, help="pixels of rounds after the first")
    parser.add_argument("--masks", type=pathlib.Path, required=True, help="held masks of the unlabelled images")
    parser.add_argument("--report", type=pathlib.Path, required=True, help="out: precision and coverage by class")
    parser.add_argument("--later-report", type=pathlib.Path, required=True, help="out: the same of later rounds")
    paths = parser.parse_args(argv)
    split = splits.read(paths.split)

    names = index.read(paths.features, "rows").images
    true = precision.cells(rows.read(paths.features), names, paths.masks, len(split.classes))

    def compare(pseudo: Iterable[rows.Rows]) -> list[dict[str, Any]]:
        return precision.table(pseudo, true, names, paths.masks, split.classes, split.unseen)

    storage.write_csv(paths.report, compare(rows.read(paths.pseudo)))
    later = [
        {"round": number, **row}
        for number, table in later_rounds.read(paths.later_rounds).items()
        for row in compare([table])
    ]
    storage.write_csv(paths.later_report, later, ["round", *precision.COLUMNS])


if __name__ == "__main__":
    main()
