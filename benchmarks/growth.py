"""How time and memory of the stages after the network grow with classes, training images, evaluation images and pixels per class.

    python -m benchmarks.growth /tmp/growth growth.csv growth.png

Each size is changed alone, from a small cache of random features, with the parameters of the current folder. The table has a row for
each stage and cache, the figure a panel for each size. Caches are written below the folder one after the other, 2 GB at most, and removed.
"""

import dataclasses
import pathlib
import shutil

import pandas as pd
import tyro

from benchmarks import changed_bandwidth

_BASE = changed_bandwidth.Sizes(train=600, val=60, classes=20, unseen=4, pixels=64)
_VALUES = {
    "val": (60, 180, 540),
    "train": (600, 1800, 5400),
    "pixels": (64, 192, 576),
    "classes": (20, 100, 300, 1200),
}
_TITLES = {
    "classes": "classes, a fifth of them unseen",
    "train": "training images",
    "val": "evaluation images",
    "pixels": "pixels of each class and training image",
}


def main(
    folder: tyro.conf.Positional[pathlib.Path],
    table_path: tyro.conf.Positional[pathlib.Path],
    figure_path: tyro.conf.Positional[pathlib.Path],
) -> None:
    """Measure, and write a table and a figure.

    Args:
        folder: where the caches are made.
        table_path: out: the table, CSV.
        figure_path: out: the figure.
    """
    rows = []
    for varied, values in _VALUES.items():
        for value in values:
            sizes = dataclasses.replace(_BASE, **{varied: value})
            # The generator must see every class.
            if varied == "classes":
                sizes = dataclasses.replace(sizes, unseen=value // 5, train=max(_BASE.train, 3 * value))
            cache = folder / f"{varied}-{value}"
            changed_bandwidth.write(cache, sizes)
            costs = [*changed_bandwidth.run(cache)]
            shutil.rmtree(cache)
            # Seconds of wall time would depend on what else the machine does.
            rows += [
                {"varied": varied, "value": value, "stage": cost.stage, "cpu": cost.cpu, "peak": cost.peak}
                for cost in costs
            ]
            print(pd.DataFrame(rows[-len(costs) :]).to_string(index=False, header=len(rows) == len(costs)), flush=True)
    table = pd.DataFrame(rows)
    table.round(2).to_csv(table_path, index=False)
    _plot(table, figure_path)


def _plot(table: pd.DataFrame, path: pathlib.Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(_VALUES), figsize=(14, 6), layout="constrained")
    for column, (varied, part) in zip(axes.T, table.groupby("varied", sort=False), strict=True):
        for stage, of_stage in part.groupby("stage", sort=False):
            column[0].plot(of_stage["value"], of_stage["cpu"], marker="o", label=stage)
            column[1].plot(of_stage["value"], of_stage["peak"], marker="o")
        column[1].set_xlabel(_TITLES[str(varied)])
        for panel in column:
            panel.set_xlim(left=0)
            panel.set_ylim(bottom=0)
            panel.grid(alpha=0.3)
    axes[0, 0].set_ylabel("seconds of CPU")
    axes[1, 0].set_ylabel("peak memory, GiB")
    axes[0, 0].legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    tyro.cli(main)
