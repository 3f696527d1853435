"""Give every class a vector from its name, by word2vec trained on a corpus, ready word vectors or a class matrix."""

import argparse
import functools
import json

import numpy as np

from zeroshot.base import errors, params, progress, storage
from zeroshot.datasets import splits
from zeroshot.words import class_embeddings, class_vectors, embedding_sources, neighbours


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Read the split and the source, write class embeddings and their neighbour table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", required=True, help="data/split.json, for the class names")
    parser.add_argument(
        "--source", required=True, help="embeddings.path: corpus, vector file, matrix or download folder"
    )
    parser.add_argument("--out", required=True, help="class embeddings to write, HDF5")
    parser.add_argument("--seen", required=True, help="the same of the seen classes alone to write, HDF5")
    parser.add_argument("--neighbours", required=True, help="table of nearest classes to write, CSV")
    args = parser.parse_args(argv)
    settings = params.load("params.yaml", "embeddings", class_embeddings.Params)
    split = splits.read(args.split)
    track = functools.partial(progress.track, what="embed_classes")
    source = embedding_sources.load(split.classes, args.source, settings, track)
    facts = {"source": settings.source, "background": settings.background, "normalise": settings.normalise}

    classes = class_embeddings.ClassEmbeddings(split.classes, finish(source.vectors, split.classes, settings))
    every = {"source_sha256": source.sha256(), "words": json.dumps(source.words)}
    class_embeddings.write(args.out, classes, facts | every)
    # From seen rows alone, the mean that a background may be included; a checksum of the source would tell of the others.
    names = tuple(split.classes[label] for label in split.seen)
    seen = class_embeddings.ClassEmbeddings(names, finish(source.vectors[list(split.seen)], names, settings))
    class_embeddings.write(
        args.seen, seen, facts | {"words": json.dumps([source.words[label] for label in split.seen])}
    )
    storage.write_text(args.neighbours, neighbours.to_csv(classes))
    print(f"{len(classes.names)} classes, {classes.vectors.shape[1]}-d vectors from {settings.source}")


def finish(vectors: np.ndarray, names: tuple[str, ...], settings: class_embeddings.Params) -> np.ndarray:
    """Return `vectors` of `names`, the background first, with the background and the lengths that `settings` ask for."""
    return class_vectors.finish(vectors, names, settings.background, settings.normalise)


if __name__ == "__main__":
    main()
