"""Write hIoU and the mIoU of seen and of unseen classes of every model to one file, and the chart of them."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    split_path: pathlib.Path,
    metrics_paths: tuple[pathlib.Path, ...],
    summary_path: pathlib.Path,
    chart_path: pathlib.Path,
) -> None:
    """Write hIoU and the mIoU of seen and of unseen classes of every model to one file, and the chart of them.

    Args:
        split_path: the split; metrics of another one are left out.
        metrics_paths: the metrics of each model.
        summary_path: out: the figures in per cent, rounded, which DVC compares between runs.
        chart_path: out: the same figures, one in each row, for a chart.
    """
    from zeroshot.base import storage
    from zeroshot.evaluation import metrics_files

    selection = metrics_files.of_one_split(metrics_paths, split_path)
    if selection.note:
        print(selection.note)
    summary = metrics_files.summary(selection.values)
    storage.write_json(summary_path, summary)
    storage.write_csv(chart_path, metrics_files.chart(summary))


if __name__ == "__main__":
    command_line.run(main)
