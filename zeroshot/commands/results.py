"""Print the metrics of every evaluated model as a table."""

import pathlib
from typing import Annotated

import tyro


def main(
    folder: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(metavar="DIR")] = pathlib.Path("metrics"),
) -> None:
    """Print the metrics of every evaluated model as a table, in the layout of the paper's Tables 1 and 2.

    Args:
        folder: folder with a JSON file for each model.
    """
    from zeroshot.evaluation import results_table

    print(results_table.table(folder))
