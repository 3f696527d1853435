"""Convert masks of other formats to PNGs of label ids, once for all splits; VOC's masks need no conversion."""

import pathlib

from zeroshot.base import command_line


def main(*, data_root: pathlib.Path, labels_dir: pathlib.Path) -> None:
    """Convert masks of other formats to PNGs of label ids, once for all splits; VOC's masks need no conversion.

    Args:
        data_root: folder of the data set.
        labels_dir: out: folder of the converted masks; empty if there is nothing to convert.
    """
    from zeroshot.base import errors, params, progress, runtime, storage
    from zeroshot.datasets import conversion

    options = params.load("params.yaml", "labels", conversion.Params)
    workers = params.load("params.yaml", "runtime", runtime.Params).workers
    faults = errors.Faults()
    with storage.replacing_folder(labels_dir) as folder:
        if options.format != "none":
            converter = conversion.converter(data_root, options, faults)
            paths = conversion.sources(data_root, options, converter.suffix, faults)
            faults.raise_any(str(data_root))
            converted = conversion.convert(folder, paths, converter, workers, faults)
            count = sum(1 for _ in progress.track(converted, "convert_labels", total=len(paths)))
            faults.raise_any(str(data_root))
            print(f"{count:,} masks converted")


if __name__ == "__main__":
    command_line.run(main)
