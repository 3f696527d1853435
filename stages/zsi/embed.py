"""Compute a vector for every class name and the background: by word2vec, from word vectors, or from a table released with ZSI."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    classes_path: pathlib.Path,
    source_path: pathlib.Path,
    embeddings_path: pathlib.Path,
    neighbours_path: pathlib.Path,
) -> None:
    """Compute a vector for every class name and the background: by word2vec, from word vectors, or from a table released with ZSI.

    Args:
        classes_path: the list of classes.
        source_path: the corpus, vector file, class matrix, download folder or empty file of `embeddings.path`.
        embeddings_path: out: vectors of all classes, HDF5.
        neighbours_path: out: table of the nearest classes of each class, CSV.
    """
    import functools
    import json

    from zeroshot.base import params, progress, storage
    from zeroshot.datasets import released_vectors
    from zeroshot.datasets.instances import class_list
    from zeroshot.words import class_embeddings, embedding_sources, normalisation

    options = params.load("zsi/params.yaml", "embeddings", class_embeddings.Params)
    names = class_list.read(classes_path).classes
    track = functools.partial(progress.track, what="embed")
    source = embedding_sources.load(names, source_path, options, track, arrange=released_vectors.arrange)
    vectors = normalisation.finish(source.vectors, names, options.background, options.normalise)
    normalisation.check_distinct(vectors, names, str(source_path))
    classes = class_embeddings.ClassEmbeddings(names, vectors)
    checksum = {"source_sha256": storage.sha256(source.file), "words": json.dumps(source.words)}
    class_embeddings.write(embeddings_path, classes, source.provenance(options) | checksum)
    storage.write_text(neighbours_path, class_embeddings.neighbours_csv(classes))
    print(f"{len(names)} classes, {vectors.shape[1]}-d vectors from {options.source}")


if __name__ == "__main__":
    command_line.run(main)
