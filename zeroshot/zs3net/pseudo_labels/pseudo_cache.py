"""The cache of pseudo-labelled pixels, written shard by shard from the cache of unlabelled pixels."""

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from zeroshot.base import hdf5, params, storage
from zeroshot.cache import index as shard_index
from zeroshot.cache import pools, rows
from zeroshot.images import views
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.zs3net.pseudo_labels import selection


def write(
    folder: pathlib.Path,
    unlabelled: pathlib.Path,
    classifier: pixel_classifier.PixelClassifier,
    options: selection.Params,
    provenance: dict[str, Any],
    classes: Sequence[str],
) -> list[rows.Rows]:
    """Pseudo-label a cache of unlabelled pixels and write the selected rows as a new cache.

    The rules need all images at once, so the cache is read twice: first for labels and confidences, which take a few bytes a row, then
    for the features of the selected rows. One shard is in memory at a time.

    Args:
        folder: the new cache, which replaces an old one. Its provenance contains `options`, see `options_of`.
        unlabelled: the cache of unlabelled pixels.
        classifier: predicts the labels.
        options: the rule that selects labels.
        provenance: plain values for the index.
        classes: all class names in label order. The cache of unlabelled pixels may lack the last ones, which no mask shows.

    Returns:
        for each shard of `unlabelled` a table of all its rows: `image`, `view`, `position`, `weight`, the predicted `label`, its
        `confidence` (n,) float32, and `kept` (n,) bool, whether the row is selected.

    Raises:
        errors.UserError: as in `selection.keep`.
        errors.DiskError: if the new cache does not fit on the disk; an old one stays.
        shard_index.ShardError: if the cache of unlabelled pixels is missing, truncated or altered.
    """
    tables = [_predicted(table, classifier) for table in rows.read(unlabelled)]
    _mark_kept(tables, classifier, options)
    source = shard_index.read(unlabelled, "rows")
    n_bytes = sum(int(table["kept"].sum()) for table in tables) * (2 * source.dim + rows.ROW_BYTES)
    storage.check_room(folder, n_bytes, "pseudo-labelled features", "lower pseudo_labels.p")
    shards = []
    with storage.replacing_folder(folder) as unfinished:
        for table, marked in zip(rows.read(unlabelled), tables, strict=True):
            selected = marked["kept"]
            if selected.any():
                path = unfinished / f"shard-{len(shards):05d}.h5"
                columns = table | {"label": marked["label"]}
                rows.write(path, {name: column[selected] for name, column in columns.items()})
                shards.append(shard_index.entry(path, "rows", len(classes)))
        provenance = {**provenance, "pseudo_labels": params.to_dict(options)}
        index = shard_index.Index("rows", source.dim, source.stride, list(classes), source.images, shards, provenance)
        shard_index.write(unfinished, index)
    return tables


def options_of(folder: pathlib.Path) -> selection.Params:
    """Return the options with which the cache in `folder` was made.

    Raises:
        shard_index.ShardError: if it cannot be read or is not a cache of pseudo-labelled pixels.
    """
    options = shard_index.read(folder, "rows").provenance.get("pseudo_labels")
    if not isinstance(options, dict):
        raise shard_index.ShardError(f"{folder}: has no pseudo-labels; give the folder that pseudo_label wrote")
    return params.build(options, selection.Params, "pseudo_labels", str(folder))


def why_empty(folder: pathlib.Path, unseen: Sequence[int]) -> str | None:
    """Return why the cache of pseudo-labelled pixels in `folder` is empty, given the label ids of unseen classes; None if it is not."""
    index = shard_index.read(folder, "rows")
    if index.shards:
        return None
    if not unseen:
        return "there is no unseen class"
    return "the rule selected no pixel" if index.images else "there is no unlabelled image"


def pool(folder: pathlib.Path, per_class: int, seed: int) -> pools.Pool:
    """Return at most `per_class` pseudo-labelled features of each class, sampled by `rows.sample`; none if the cache is empty."""
    index = shard_index.read(folder, "rows")
    if not index.shards:
        return pools.empty(index.dim)
    return pools.select(rows.sample(folder, per_class, seed), range(len(index.classes)))


def counts(tables: Sequence[rows.Rows], classes: Sequence[str], unseen: Sequence[int]) -> list[dict[str, Any]]:
    """Return a row {class, role, predicted, kept, images, confidence} for each class.

    `predicted` and `kept` are in per cent of all cells of the unlabelled images: cells with this label, and cells whose label is
    selected. `images` is the number of images with a selected row, `confidence` the mean over selected rows, None without any.
    """
    whole = [table["view"] == views.WHOLE for table in tables]
    names = ("image", "weight", "label", "confidence", "kept")
    column = {
        name: np.concatenate(
            [np.zeros(0, int), *(table[name][mask] for table, mask in zip(tables, whole, strict=True))]
        )
        for name in names
    }
    is_kept, weight = column["kept"].astype(bool), column["weight"].astype(np.float64)
    total = max(weight.sum(), 1.0)
    table_of_counts = []
    for label, name in enumerate(classes):
        has_label = column["label"] == label
        selected = has_label & is_kept
        table_of_counts.append(
            {
                "class": name,
                "role": "unseen" if label in unseen else "seen",
                "predicted": round(100 * weight[has_label].sum() / total, 4),
                "kept": round(100 * weight[selected].sum() / total, 4),
                "images": len(np.unique(column["image"][selected])),
                "confidence": round(float(column["confidence"][selected].mean()), 4) if selected.any() else None,
            }
        )
    return table_of_counts


_COLUMNS = ("image", "view", "position", "weight", "label")


def selected_rows(tables: Iterable[rows.Rows]) -> rows.Rows:
    """Return the selected rows of the tables of `write`, without features: `image`, `view`, `position`, `weight`, `label`."""
    parts = [{name: table[name][table["kept"]] for name in _COLUMNS} for table in tables]
    empty = {name: np.zeros((0, *shape), dtype) for name, (dtype, shape) in rows.COLUMNS.items()}
    return {name: np.concatenate([empty[name], *(part[name] for part in parts)]) for name in _COLUMNS}


def write_later_rounds(path: pathlib.Path, tables: Sequence[rows.Rows]) -> None:
    """Write the tables of the second and later rounds, each from `selected_rows`, in the order of rounds."""
    with storage.replacing(path) as temporary, hdf5.writing(temporary) as file:
        for number, table in enumerate(tables, 2):
            group = file.create_group(str(number))
            for name in _COLUMNS:
                dtype, _ = rows.COLUMNS[name]
                group.create_dataset(name, data=table[name], dtype=dtype, track_times=False)


def read_later_rounds(path: pathlib.Path) -> Mapping[int, rows.Rows]:
    """Return the table of each later round by its number, from 2; empty if there was only one round.

    Raises:
        hdf5.HDF5Error: if the file is missing, damaged or not of `write_later_rounds`.
    """
    with hdf5.reading(path) as file:
        if not all(name.isdecimal() for name in file):
            raise KeyError(f"found {', '.join(file)} instead of the numbers of rounds")
        return {number: {name: file[f"{number}/{name}"][:] for name in _COLUMNS} for number in sorted(map(int, file))}


def _predicted(table: rows.Rows, classifier: pixel_classifier.PixelClassifier) -> rows.Rows:
    label, confidence = selection.predict(classifier, table["features"])
    columns = {name: table[name] for name in ("image", "view", "position", "weight")}
    return {**columns, "label": label, "confidence": confidence}


def _mark_kept(
    tables: Sequence[rows.Rows], classifier: pixel_classifier.PixelClassifier, options: selection.Params
) -> None:
    """Add `kept` to every table, by one rule over the rows of all tables."""
    if tables:
        joined = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
        selected = selection.keep(classifier, joined, joined["label"], joined["confidence"], options)
        bounds = np.cumsum([len(table["label"]) for table in tables])[:-1]
        for table, part in zip(tables, np.split(selected, bounds), strict=True):
            table["kept"] = part
