"""Generate a small data set in COCO's layout, paper shapes that overlap on a table, and a corpus with its class names."""

import pathlib

from zeroshot.base import command_line


def main(*, data_root: pathlib.Path) -> None:
    """Generate a small data set in COCO's layout, paper shapes that overlap on a table, and a corpus with its class names.

    Args:
        data_root: out: the folder of the data set; its previous content is removed.
    """
    from zeroshot.base import params, runtime
    from zeroshot.datasets.shapes import arrangements, coco_files

    workers = params.load("params.yaml", "runtime", runtime.Params).workers
    coco_files.make(params.load("zsi/params.yaml", "shapes", arrangements.Params), data_root, max(1, workers))


if __name__ == "__main__":
    command_line.run(main)
