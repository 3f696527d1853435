"""Generate a small dataset in VOC's layout, painted pebbles on a grey beach, and a corpus with its class names."""

import pathlib

from zeroshot.base import command_line


def main(*, data_root: pathlib.Path) -> None:
    """Generate a small dataset in VOC's layout, painted pebbles on a grey beach, and a corpus with its class names.

    Args:
        data_root: out: the data root; its previous content is removed.
    """
    from zeroshot.base import params, runtime
    from zeroshot.datasets.toy import on_disk, scenes

    workers = params.load("params.yaml", "runtime", runtime.Params).workers
    on_disk.make(params.load("params.yaml", "toy", scenes.Params), data_root, max(1, workers))


if __name__ == "__main__":
    command_line.run(main)
