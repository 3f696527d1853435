"""Print the metrics of every evaluated model as a table."""

import pathlib
from typing import Annotated

import tyro


def main(
    folder: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(metavar="DIR")] = pathlib.Path("metrics"),
    *,
    split: pathlib.Path = pathlib.Path("data/split.json"),
) -> None:
    """Print the metrics of every evaluated model as a table, in the layout of the paper's Tables 1 and 2.

    Metrics of another split than the present one are not in the table; a line names their files.

    Args:
        folder: folder with a JSON file for each model.
        split: the present split. If it does not exist, all metrics must belong to one split.
    """
    from zeroshot.evaluation import results_table

    print(results_table.table(folder, split if split.exists() else None))
