"""Compute a vector for every class name, reduced by principal components of the vocabulary, or one-hot vectors."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    split_path: pathlib.Path,
    source_path: pathlib.Path,
    embeddings_path: pathlib.Path,
    neighbours_path: pathlib.Path,
    recipe_path: pathlib.Path,
) -> None:
    """Compute a vector for every class name, reduced by principal components of the vocabulary, or one-hot vectors.

    Args:
        split_path: the split, for the class names.
        source_path: the corpus, vector file, class matrix, download folder or empty file of `embeddings.path`.
        embeddings_path: out: vectors of all classes, HDF5.
        neighbours_path: out: table of the nearest classes of each class, CSV.
        recipe_path: out: the section `embeddings` and the principal components, from which vectors of further classes can be made, JSON.
    """
    import functools
    import json
    import sys

    from zeroshot.base import params, progress, storage
    from zeroshot.datasets import released_vectors, splits
    from zeroshot.words import class_embeddings, embedding_sources, normalisation, principal_components

    options = params.load("szn/params.yaml", "embeddings", class_embeddings.Params)
    pca = params.load("szn/params.yaml", "pca", principal_components.Params)
    names = splits.read(split_path).classes
    reduction = principal_components.start(pca, options.source, str(source_path))
    track = functools.partial(progress.track, what="embed")
    source = embedding_sources.load(names, source_path, options, track, reduction.add if reduction else None)
    if options.source == "matrix":
        released_vectors.check_order(source.vectors, names, str(source_path))

    def finish(vectors):
        return normalisation.finish(vectors, names, options.background, options.normalise)

    full = finish(source.vectors)
    reduced = finish(reduction.reduce(source.vectors)) if reduction else full
    warning = principal_components.check_classes(full, reduced, names, str(source_path))
    if warning:
        print(warning, file=sys.stderr)

    classes = class_embeddings.ClassEmbeddings(names, reduced)
    reduced_by = reduction.describe() if reduction else principal_components.KEPT
    provenance = source.provenance(options) | {
        "source_sha256": storage.sha256(source.file),
        "words": json.dumps(source.words),
        "pca": reduced_by,
    }
    class_embeddings.write(embeddings_path, classes, provenance)
    storage.write_text(neighbours_path, class_embeddings.neighbours_csv(classes))
    components = reduction.components() if reduction else None
    storage.write_json(recipe_path, {"embeddings": params.to_dict(options), "pca": components})
    print(f"{len(names)} classes, {reduced.shape[1]}-d vectors from {options.source}: {reduced_by}")


if __name__ == "__main__":
    command_line.run(main)
