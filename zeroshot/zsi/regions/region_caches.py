"""The two caches of regions of a detector: what each has of an image, and how large that can be."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from zeroshot.base import params, storage
from zeroshot.cache import rows
from zeroshot.images import image_files
from zeroshot.zsi import detector as zsi_detector
from zeroshot.zsi import instances_dataset, sections
from zeroshot.zsi.regions import evaluation_regions, region_shards, training_regions


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A detector, and what of its regions is cached.

    Attributes:
        detector: in evaluation mode, on `device`.
        trained: the section of the parameters that it was trained with.
        classes: class names in label order.
        facts: what made the detector, as plain values.
        options: the section `regions`.
        device: where it runs.
    """

    detector: zsi_detector.Detector
    trained: sections.Detector
    classes: Sequence[str]
    facts: dict[str, Any]
    options: sections.Regions
    device: torch.device

    @property
    def dim(self) -> int:
        """The length of a feature."""
        return self.detector.box_head.regressor.in_features

    def training(self, dataset: instances_dataset.TrainingInstances) -> region_shards.Cache:
        """Return the cache of training images, in the order of the data set."""
        # All proposals and annotated boxes; most proposals are left out.
        bounds = [self.trained.rpn.proposals_test + n_objects for n_objects in dataset.n_objects()]

        def of_image(number: int) -> rows.Rows:
            image, target = dataset.example(number)
            return training_regions.of_image(self.detector, image.to(self.device), target, number, self.options)

        return self._cache(
            kind="rows",
            images=[str(entry["id"]) for entry in dataset.images],
            sizes=[bound * (2 * self.dim + rows.ROW_BYTES) for bound in bounds],
            write=functools.partial(region_shards.write_rows, of_image),
        )

    def evaluation(self, entries: Sequence[instances_dataset.Image], folder: pathlib.Path) -> region_shards.Cache:
        """Return the cache of evaluation images, in the order of their entries; the images are in `folder`."""
        per_image = min(self.trained.rpn.proposals_test, self.options.evaluation_per_image)
        size = per_image * evaluation_regions.region_bytes(self.dim, self.trained.map_dim)

        def of_image(number: int) -> evaluation_regions.EvaluationRegions:
            pixels = image_files.read_image(folder / entries[number]["file_name"])
            image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).to(self.device)
            return evaluation_regions.of_image(self.detector, image, self.options.evaluation_per_image)

        return self._cache(
            kind="regions",
            images=[str(entry["id"]) for entry in entries],
            sizes=[size] * len(entries),
            write=functools.partial(region_shards.write_evaluation, of_image),
        )

    def _cache(self, **parts: Any) -> region_shards.Cache:
        return region_shards.Cache(
            dim=self.dim,
            classes=self.classes,
            provenance={**self.facts, "regions": params.to_dict(self.options)},
            shard_bytes=self.options.shard_mib * storage.MIB,
            **parts,
        )
