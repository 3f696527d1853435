"""Published results and their sources: presets/comparison/published.csv."""

import csv
import dataclasses
import io
import pathlib

from zeroshot.base import errors, text_files
from zeroshot.experiments.comparison import collect


@dataclasses.dataclass(frozen=True)
class Published:
    """One published row.

    Attributes:
        dataset: as in `Comparison.published`.
        k: None for the row without unseen classes.
        method: its name in methods.yaml, or in its paper if it is not in methods.yaml.
        metrics: column -> per cent; without the columns that are not published.
        source: paper and table.
    """

    dataset: str
    k: int | None
    method: str
    metrics: dict[str, float]
    source: str


HEADER = ("dataset", "K", "method", *collect.COLUMNS, collect.VANILLA, "source")


def read(path: str | pathlib.Path, dataset: str | None) -> list[Published]:
    """Return the rows of a dataset, in the order of the file; no rows for None.

    Raises:
        errors.UserError: if the file cannot be read as text, the header is not `HEADER`, or a metric is not a number.
    """
    reader = csv.DictReader(io.StringIO(text_files.read(path), newline=""))
    if tuple(reader.fieldnames or ()) != HEADER:
        raise errors.UserError(
            f"{path}: needs the columns {','.join(HEADER)}; found {','.join(reader.fieldnames or ())}"
        )
    try:
        return [_row(row) for row in reader if row["dataset"] == dataset]
    except ValueError as error:
        raise errors.UserError(f"{path}: line {reader.line_num}: {error}") from error


def _row(row: dict[str, str]) -> Published:
    metrics = {name: float(row[name]) for name in HEADER[3:-1] if row[name]}
    return Published(row["dataset"], int(row["K"]) if row["K"] else None, row["method"], metrics, row["source"])
