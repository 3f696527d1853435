"""Compute a vector for every class name: by word2vec trained on a corpus, from word vectors or from a class matrix."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    split_path: pathlib.Path,
    source_path: pathlib.Path,
    embeddings_path: pathlib.Path,
    seen_path: pathlib.Path,
    neighbours_path: pathlib.Path,
    recipe_path: pathlib.Path,
) -> None:
    """Compute a vector for every class name: by word2vec trained on a corpus, from word vectors or from a class matrix.

    Args:
        split_path: the split, for the class names.
        source_path: the corpus, vector file, class matrix, download folder or empty file of `embeddings.path`.
        embeddings_path: out: vectors of all classes, HDF5.
        seen_path: out: vectors of the classes that the network is trained on alone, HDF5.
        neighbours_path: out: table of the nearest classes of each class, CSV.
        recipe_path: out: the section `embeddings`, from which vectors of further classes can be made, JSON.
    """
    import functools
    import json

    from zeroshot.base import params, progress, storage
    from zeroshot.datasets import released_vectors, splits
    from zeroshot.images import label_ids
    from zeroshot.words import class_embeddings, embedding_sources, normalisation

    options = params.load("params.yaml", "embeddings", class_embeddings.Params)
    split = splits.read(split_path)
    track = functools.partial(progress.track, what="embed_classes")
    source = embedding_sources.load(split.classes, source_path, options, track)
    if options.source == "matrix":
        released_vectors.check_order(source.vectors, split.classes, str(source_path))
    finish = functools.partial(normalisation.finish, normalise=options.normalise)
    provenance = source.provenance(options)

    classes = class_embeddings.ClassEmbeddings(
        split.classes, finish(source.vectors, split.classes, background=options.background)
    )
    normalisation.check_distinct(classes.vectors, split.classes, str(source_path))
    whole = {"source_sha256": storage.sha256(source.file), "words": json.dumps(source.words)}
    class_embeddings.write(embeddings_path, classes, provenance | whole)
    # This file has no checksum of the source, because that would depend on the vectors of unseen classes.
    names = tuple(split.classes[label] for label in split.train_seen)
    # Where the data have no background, the first class that the network learns is an object.
    background = options.background if label_ids.BACKGROUND in split.train_seen else "vector"
    seen_vectors = finish(source.vectors[list(split.train_seen)], names, background=background)
    seen = class_embeddings.ClassEmbeddings(names, seen_vectors)
    seen_words = {"words": json.dumps([source.words[label] for label in split.train_seen])}
    class_embeddings.write(seen_path, seen, provenance | seen_words)
    storage.write_json(recipe_path, params.to_dict(options))
    storage.write_text(neighbours_path, class_embeddings.neighbours_csv(classes))
    print(f"{len(classes.names)} classes, {classes.vectors.shape[1]}-d vectors from {options.source}")


if __name__ == "__main__":
    command_line.run(main)
