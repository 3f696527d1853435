"""Published figures, each with where it is printed: presets/comparison/published.csv."""

import csv
import dataclasses
import pathlib

from zeroshot.base import errors
from zeroshot.experiments.comparison import collect


@dataclasses.dataclass(frozen=True)
class Published:
    """One printed row.

    Attributes:
        dataset: as in `Comparison.published`.
        k: None for the row without unseen classes.
        method: by its name in methods.yaml where it is one of those.
        figures: column -> per cent; columns that are not printed are absent.
        source: where it is printed.
    """

    dataset: str
    k: int | None
    method: str
    figures: dict[str, float]
    source: str


HEADER = ("dataset", "K", "method", *collect.COLUMNS, collect.VANILLA, "source")


def read(path: str | pathlib.Path, dataset: str | None) -> list[Published]:
    """Return the rows of a dataset, in their order; none for None.

    Raises:
        errors.UserError: if the header is not `HEADER`, or a figure is no number.
    """
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != HEADER:
            raise errors.UserError(
                f"{path}: needs the columns {','.join(HEADER)}; found {','.join(reader.fieldnames or ())}"
            )
        try:
            return [_row(row) for row in reader if row["dataset"] == dataset]
        except ValueError as error:
            raise errors.UserError(f"{path}: line {reader.line_num}: {error}") from error


def _row(row: dict[str, str]) -> Published:
    figures = {name: float(row[name]) for name in HEADER[3:-1] if row[name]}
    return Published(row["dataset"], int(row["K"]) if row["K"] else None, row["method"], figures, row["source"])
