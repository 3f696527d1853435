"""Print the metrics of every evaluated model as a table."""

import pathlib
from typing import Annotated

import tyro


def main(
    folder: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(metavar="DIR")] = pathlib.Path("metrics"),
    *,
    split: pathlib.Path | None = None,
) -> None:
    """Print the metrics of every evaluated model as a table, in the layout of the paper's Tables 1 and 2.

    Metrics of another split than the present one are not in the table; a line names their files. Metrics of ZSI, in metrics/zsi, have a
    table of their own.

    Args:
        folder: folder with a JSON file for each model.
        split: the present split; without this option data/split.json, and data/szn/split.json for metrics/szn. If it does not exist, all
            metrics must belong to one split.
    """
    from zeroshot.evaluation import metrics_files, results_table
    from zeroshot.evaluation.instances import instance_table

    if split is None:
        split = pathlib.Path("data/szn/split.json" if folder == pathlib.Path("metrics/szn") else "data/split.json")
    paths = metrics_files.paths(folder)
    if instance_table.is_of_instances(paths):
        print(instance_table.table(paths))
    else:
        print(results_table.table(folder, split if split.exists() else None))
