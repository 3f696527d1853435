"""Score one classifier on the cached maps of the evaluation images: seen, unseen and harmonic-mean IoU."""

import argparse
import pathlib

from zeroshot.base import errors, params, progress, runtime, storage
from zeroshot.cache import index, maps
from zeroshot.datasets import splits
from zeroshot.evaluation import metrics, protocols
from zeroshot.zs3net import pixel_classifier


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=pathlib.Path, required=True)
    parser.add_argument("--features", type=pathlib.Path, required=True, help="cache of full maps with masks")
    parser.add_argument("--classifier", type=pathlib.Path, required=True)
    parser.add_argument("--metrics", type=pathlib.Path, required=True, help="out: the figures, in per cent")
    parser.add_argument("--classes", type=pathlib.Path, required=True, help="out: IoU and accuracy by class")
    parser.add_argument("--confusion", type=pathlib.Path, required=True, help="out: confusion matrix, long form")
    paths = parser.parse_args(argv)
    options = params.load("params.yaml", "evaluation", protocols.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    split = splits.read(paths.split)
    classifier, facts = pixel_classifier.load(paths.classifier)

    described = index.read(paths.features, "maps")
    protocol = protocols.protocol(options, described)
    cache = progress.track(maps.read(paths.features), "evaluate (images)", total=len(described.images))
    confusions = protocols.confusions(classifier.to(runtime.device(settings)), cache, split, options.short_side)
    figures = {
        name: metrics.summarise(matrix, split.seen, split.unseen, options.absent_classes)
        for name, matrix in confusions.items()
    }
    storage.write_json(
        paths.metrics,
        {
            "generalised": figures["generalised"],
            "without_bias": figures["without_bias"],
            "vanilla": figures["vanilla"]["unseen"] if "vanilla" in figures else None,
            "seen_bias": classifier.seen_bias,
            "exclude": split.exclude,
            "images": len(described.images),
            "evaluation": protocol,
            # Whether a generator of graphs was told where unseen classes truly stand.
            **({"graph_context": facts["graph_context"]} if "graph_context" in facts else {}),
        },
    )
    matrix = confusions["generalised"]
    storage.write_csv(paths.classes, protocols.class_table(matrix, split.classes, split.unseen))
    storage.write_csv(paths.confusion, protocols.confusion_table(matrix, split.classes))


if __name__ == "__main__":
    main()
