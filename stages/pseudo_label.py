"""Let ZS3Net label the cached pixels of the unlabelled images, and keep the labels worth learning from."""

import argparse
import pathlib

from zeroshot.base import errors, params, runtime, storage
from zeroshot.datasets import splits
from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.pseudo_labels import pseudo_cache, selection


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=pathlib.Path, required=True)
    parser.add_argument("--features", type=pathlib.Path, required=True, help="cache of unlabelled pixels")
    parser.add_argument("--classifier", type=pathlib.Path, required=True)
    parser.add_argument("--pseudo", type=pathlib.Path, required=True, help="out: cache of pseudo-labelled pixels")
    parser.add_argument("--counts", type=pathlib.Path, required=True, help="out: pseudo-labels by class")
    paths = parser.parse_args(argv)
    options = params.load("params.yaml", "pseudo_labels", selection.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    split = splits.read(paths.split)
    classifier, _ = pixel_classifier.load(paths.classifier)

    provenance = {"classifier_sha256": storage.sha256(paths.classifier)}
    tables = pseudo_cache.write(
        paths.pseudo, paths.features, classifier.to(runtime.device(settings)), options, provenance
    )
    storage.write_csv(paths.counts, pseudo_cache.counts(tables, split.classes, split.unseen))


if __name__ == "__main__":
    main()
