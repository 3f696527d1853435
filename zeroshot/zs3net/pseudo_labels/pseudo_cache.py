"""The cache of pseudo-labelled pixels, made shard by shard from that of unlabelled ones."""

import pathlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from zeroshot.base import hdf5, params, storage
from zeroshot.cache import index as shard_index
from zeroshot.cache import pools, rows
from zeroshot.images import views
from zeroshot.zs3net import pixel_classifier
from zeroshot.zs3net.pseudo_labels import selection


def write(
    folder: pathlib.Path,
    unlabelled: pathlib.Path,
    classifier: pixel_classifier.PixelClassifier,
    options: selection.Params,
    provenance: dict[str, Any],
) -> list[rows.Rows]:
    """Pseudo-label a cache and write the rows worth learning from as a cache of their own.

    The rules look at all images together, so the cache is read twice: once for labels and confidences, which take a few bytes a row,
    and once for the features of the rows that are kept. One shard is held at a time.

    Args:
        folder: of the new cache, replaced with all it held; its provenance holds `options`, see `options_of`.
        unlabelled: the cache of unlabelled pixels.
        classifier: gives the labels.
        options: which of them are kept.
        provenance: plain values for the index.

    Returns:
        for each shard of `unlabelled` a table of all its rows: `image`, `view`, `position`, `weight`, the predicted `label`, its
        `confidence` (n,) float32, and `kept` (n,) bool.

    Raises:
        errors.UserError: as `selection.keep`.
        shard_index.ShardError: if the cache of unlabelled pixels is missing, truncated or altered.
    """
    tables = [_predicted(table, classifier) for table in rows.read(unlabelled)]
    _mark_kept(tables, classifier, options)
    source = shard_index.read(unlabelled, "rows")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shards = []
    for table, marked in zip(rows.read(unlabelled), tables, strict=True):
        kept = marked["kept"]
        if kept.any():
            path = folder / f"shard-{len(shards):05d}.h5"
            rows.write(path, {name: column[kept] for name, column in (table | {"label": marked["label"]}).items()})
            shards.append(shard_index.entry(path, "rows", len(source.classes)))
    provenance = {**provenance, "pseudo_labels": params.to_dict(options)}
    shard_index.write(
        folder, shard_index.Index("rows", source.dim, source.stride, source.classes, source.images, shards, provenance)
    )
    return tables


def options_of(folder: pathlib.Path) -> selection.Params:
    """Return the options with which the cache in `folder` was made."""
    return params.build(
        shard_index.read(folder, "rows").provenance["pseudo_labels"], selection.Params, "pseudo_labels", str(folder)
    )


def pool(folder: pathlib.Path, per_class: int, seed: int) -> pools.Pool:
    """Return at most `per_class` pseudo-labelled features of each class, as `rows.sample` draws them; none if the cache is empty."""
    index = shard_index.read(folder, "rows")
    if not index.shards:
        return pools.empty(index.dim)
    return pools.select(rows.sample(folder, per_class, seed), range(len(index.classes)))


def counts(tables: Sequence[rows.Rows], classes: Sequence[str], unseen: Sequence[int]) -> list[dict[str, Any]]:
    """Return a row {class, role, predicted, kept, images, confidence} for each class.

    `predicted` and `kept` are per cent of all cells of the unlabelled images, `images` those with a kept row, `confidence` the mean
    over kept rows, None without any.
    """
    whole = [table["view"] == views.WHOLE for table in tables]
    names = ("image", "weight", "label", "confidence", "kept")
    column = {
        name: np.concatenate([np.zeros(0, int), *(table[name][own] for table, own in zip(tables, whole, strict=True))])
        for name in names
    }
    kept, weight = column["kept"].astype(bool), column["weight"].astype(np.float64)
    total = max(weight.sum(), 1.0)
    found = []
    for label, name in enumerate(classes):
        own = column["label"] == label
        chosen = own & kept
        found.append(
            {
                "class": name,
                "role": "unseen" if label in unseen else "seen",
                "predicted": round(100 * weight[own].sum() / total, 4),
                "kept": round(100 * weight[chosen].sum() / total, 4),
                "images": len(np.unique(column["image"][chosen])),
                "confidence": round(float(column["confidence"][chosen].mean()), 4) if chosen.any() else None,
            }
        )
    return found


_COLUMNS = ("image", "view", "position", "weight", "label")


def kept_rows(tables: Iterable[rows.Rows]) -> rows.Rows:
    """Return the rows of `cache.write`'s tables that were kept, without features: `image`, `view`, `position`, `weight`, `label`."""
    parts = [{name: table[name][table["kept"]] for name in _COLUMNS} for table in tables]
    empty = {name: np.zeros((0, *shape), dtype) for name, (dtype, shape) in rows.COLUMNS.items()}
    return {name: np.concatenate([empty[name], *(part[name] for part in parts)]) for name in _COLUMNS}


def write_later_rounds(path: pathlib.Path, tables: Sequence[rows.Rows]) -> None:
    """Write the tables of the second and later rounds, as `kept` gives them, in their order."""
    with storage.replacing(path) as temporary, h5py.File(temporary, "w") as file:
        for number, table in enumerate(tables, 2):
            group = file.create_group(str(number))
            for name in _COLUMNS:
                dtype, _ = rows.COLUMNS[name]
                group.create_dataset(name, data=table[name], dtype=dtype, track_times=False)


def read_later_rounds(path: pathlib.Path) -> Mapping[int, rows.Rows]:
    """Return the table of each round, by its number from 2; empty if there was one round."""
    with hdf5.reading(path) as file:
        return {number: {name: file[f"{number}/{name}"][:] for name in _COLUMNS} for number in sorted(map(int, file))}


def _predicted(table: rows.Rows, classifier: pixel_classifier.PixelClassifier) -> rows.Rows:
    label, confidence = selection.predict(classifier, table["features"])
    places = {name: table[name] for name in ("image", "view", "position", "weight")}
    return {**places, "label": label, "confidence": confidence}


def _mark_kept(
    tables: Sequence[rows.Rows], classifier: pixel_classifier.PixelClassifier, options: selection.Params
) -> None:
    """Add `kept` to every table; the rules see the rows of all of them."""
    if tables:
        joined = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
        kept = selection.keep(classifier, joined, joined["label"], joined["confidence"], options)
        bounds = np.cumsum([len(table["label"]) for table in tables])[:-1]
        for table, part in zip(tables, np.split(kept, bounds), strict=True):
            table["kept"] = part
