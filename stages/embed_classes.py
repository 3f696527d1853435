"""Give every class a vector from its name, by word2vec trained on a corpus, ready word vectors or a class matrix."""

import argparse
import functools
import json

from zs3 import embeddings, errors, params, progress, splits, storage
from zs3.words import class_vectors, embedding_sources, neighbours


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Read the split and the source, write class embeddings and their neighbour table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", required=True, help="data/split.json, for the class names")
    parser.add_argument(
        "--source", required=True, help="embeddings.path: corpus, vector file, matrix or download folder"
    )
    parser.add_argument("--out", required=True, help="class embeddings to write, HDF5")
    parser.add_argument("--neighbours", required=True, help="table of nearest classes to write, CSV")
    args = parser.parse_args(argv)
    settings = params.load("params.yaml", "embeddings", embeddings.Params)
    names = splits.read(args.split).classes
    track = functools.partial(progress.track, what="embed_classes")
    source = embedding_sources.load(names, args.source, settings, track)
    vectors = class_vectors.finish(source.vectors, names, settings.background, settings.normalise)

    classes = embeddings.ClassEmbeddings(names, vectors)
    provenance = {
        "source": settings.source,
        "source_sha256": source.sha256(),
        "words": json.dumps(source.words),
        "background": settings.background,
        "normalise": settings.normalise,
    }
    embeddings.write(args.out, classes, provenance)
    storage.write_text(args.neighbours, neighbours.to_csv(classes))
    print(f"{len(names)} classes, {vectors.shape[1]}-d vectors from {settings.source}")


if __name__ == "__main__":
    main()
