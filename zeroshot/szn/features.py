"""What goes into SZN's cache: the features below the heads, of training pixels and of whole evaluation images."""

import dataclasses
import pathlib
from typing import Literal

from zeroshot.base import params
from zeroshot.cache import sources, stored_features
from zeroshot.datasets import splits

SECTION = "features"


@params.section
class Params:
    """The section `features` of szn/params.yaml."""

    pixels_per_class: params.Count
    ignored_pixels: bool
    seed: params.Seed
    shard_mib: params.Count
    batch_size: params.Count
    precision: Literal["float32", "bfloat16"]
    storage: stored_features.Storage

    def plan(self) -> sources.Params:
        """Return the options of a cache: every image once and whole, and no unlabelled image."""
        return sources.Params(
            pixels_per_class=self.pixels_per_class, unlabelled_pixels=1, scales=(1.0,), flip=False, val_short_side=None,
            seed=self.seed, unlabelled_views=sources.UnlabelledViews(scales=(), flip=False),
            shard_mib=self.shard_mib, batch_size=self.batch_size, precision=self.precision, storage=self.storage,
        )  # fmt: skip


def source(
    name: Literal["train", "val"],
    lists: splits.Images,
    root: pathlib.Path,
    masks: pathlib.Path,
    options: Params,
    network: sources.Network,
) -> sources.Source:
    """Return the images of a list with their masks, as `sources.source` does; ignored pixels are sampled where the options say so."""
    listed = sources.source(name, lists, root, masks, options.plan(), network)
    return dataclasses.replace(listed, samples_ignored=options.ignored_pixels and name == "train")
