"""Turn masks of other formats than PNGs of label ids into these, once for all splits; nothing to do for VOC's own."""

import argparse
import pathlib

from zeroshot.base import errors, files, params, problems, progress, runtime
from zeroshot.datasets import conversion


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="data root")
    parser.add_argument("--labels", type=pathlib.Path, required=True, help="out: folder of masks, empty for none")
    args = parser.parse_args(argv)
    settings = params.load("params.yaml", "labels", conversion.Params)
    workers = params.load("params.yaml", "runtime", runtime.Params).workers
    found = problems.Problems()
    with files.replacing(args.labels) as folder:
        if settings.format != "none":
            how = conversion.converter(args.data, settings, found)
            paths = conversion.sources(args.data, settings, how.suffix, found)
            found.raise_any(str(args.data))
            done = conversion.convert(folder, paths, how, workers, found)
            count = sum(1 for _ in progress.track(done, "convert_labels", total=len(paths)))
            found.raise_any(str(args.data))
            print(f"{count:,} masks converted")


if __name__ == "__main__":
    main()
