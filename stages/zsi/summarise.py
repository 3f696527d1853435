"""Write the mAP of seen and of unseen classes of every scoring to one file, and the chart of them."""

import pathlib

from zeroshot.base import command_line


def main(*, metrics_paths: tuple[pathlib.Path, ...], summary_path: pathlib.Path, chart_path: pathlib.Path) -> None:
    """Write the mAP of seen and of unseen classes of every scoring to one file, and the chart of them.

    Args:
        metrics_paths: the metrics of each scoring.
        summary_path: out: the figures in per cent, rounded, which DVC compares between runs.
        chart_path: out: those of GZSI, one in each row, for a chart.
    """
    from zeroshot.base import storage
    from zeroshot.evaluation.instances import instance_summary

    summary = instance_summary.summary(instance_summary.read(metrics_paths))
    storage.write_json(summary_path, summary)
    storage.write_csv(chart_path, instance_summary.chart(summary))


if __name__ == "__main__":
    command_line.run(main)
