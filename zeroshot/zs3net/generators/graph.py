"""Graph context: features of a component generated from its class and the classes that touch it (paper section 2.2).

The released code keeps the perceptron and adds graph convolutions as an auxiliary loss; here, as in the paper, they make the features.
"""

import pathlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pydantic
import torch

from zeroshot.base import errors, params, progress
from zeroshot.cache import graphs as shard_graphs
from zeroshot.cache import pools
from zeroshot.datasets import splits
from zeroshot.images import image_files
from zeroshot.zs3net.generators import generator, matching, neighbourhoods, placing


@params.section
class Params:
    """The section `gmmn.graph`; see params.yaml."""

    masks: Annotated[str, pydantic.Field(min_length=1)]
    skip: bool
    context_weight: params.NonNegative
    near: params.Count
    contexts_per_class: params.Count

    @property
    def context(self) -> Literal["near", "true_masks"]:
        """Where unseen classes stand: at the places of similar seen classes, or at their own in `masks`; recorded in results."""
        return "near" if pathlib.PurePath(self.masks).name == "none" else "true_masks"


class GraphContext(generator.Generator):
    """Graph convolutions, and places of training images where classes stand, for sampling.

    Attributes:
        layers: the graph convolutions.
        places: a bounded number of neighbourhoods of each class that has any, sorted by class; None before `fit`.
    """

    def __init__(self, options: generator.Options, embeddings: torch.Tensor, feature_dim: int) -> None:
        super().__init__(options, embeddings, feature_dim)
        self.own: Params = self.section()
        # Loads torch_geometric, which takes seconds: only where it is needed.
        from zeroshot.zs3net.generators import gcn

        self.layers = gcn.GCN(
            embeddings.shape[1] + options.noise_dim,
            options.hidden_dim,
            feature_dim,
            options.dropout,
            options.output == "relu",
            self.own.skip,
        )
        self.places: neighbourhoods.Neighbourhoods | None = None

    @property
    def provenance(self) -> dict[str, str]:
        """Whether the generator saw where unseen classes truly are."""
        return {"graph_context": self.own.context}

    def get_extra_state(self) -> dict[str, torch.Tensor]:
        """Return the places as tensors, for the checkpoint."""
        return {} if self.places is None else vars(self.places)

    def set_extra_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take what `get_extra_state` gave."""
        self.places = neighbourhoods.Neighbourhoods(**state) if state else None

    def epochs(self, real: pools.Pool, context: neighbourhoods.OfRows | None) -> Iterator[dict[str, Any]]:
        """Match generated to real features, class by class, each real one with one generated for the place it comes from.

        Features and neighbourhoods are compared jointly. With context_weight w, features are extended by sqrt(w m) times the mean class
        embedding of the neighbours, m being the median squared distance within a class: a Gaussian kernel of such pairs is the product
        of kernels of its parts. So features are compared mostly with those from like places, and those of a class in one place cannot
        stand for those in another.

        Returns what `matching.epochs` yields.

        Raises:
            errors.UserError: if the cache has no graphs, or no image's graph may be used.
        """
        if context is None:
            raise errors.UserError(
                "gmmn.generator: graph needs component graphs, which the cache lacks; make it again with "
                "`dvc repro --force --single-item dump_features`"
            )
        if not (context.rows >= 0).any():
            raise errors.UserError(
                "gmmn.generator: graph found no training image without a class that is, or in cross-validation plays, unseen; lower"
                " classifier.calibration.held_out or choose another generator"
            )
        options = self.options
        random = torch.Generator().manual_seed(options.seed)
        places = context.neighbourhoods
        real, of_row = pools.restrict(real, context.rows >= 0), context.rows[context.rows >= 0]
        self.places = places.take(_to_keep(real, of_row, self.own.contexts_per_class, random))
        if context.unseen is not None:
            both = neighbourhoods.concatenate(self.places, context.unseen)
            self.places = both.take(both.root_labels.argsort(stable=True))
        kernel_variances = matching.variances(real, options)
        scale = (self.own.context_weight * matching.median(real, options)) ** 0.5
        around = scale * placing.surroundings(places, self.embeddings)

        def draw() -> matching.Batch:
            index, mask = pools.draw_rows(real, options.batch_per_class, random)
            x, place = real.features[index].float().to(self.device), of_row[index]
            fake = self.at_places(places.take(place.ravel()), random).reshape(x.shape)
            real_pairs, fake_pairs = (torch.cat([features, around[place]], dim=2) for features in (x, fake))
            return matching.Batch(x, real_pairs, fake_pairs, mask.to(self.device))

        return matching.epochs(self, draw, kernel_variances, options)

    def sample(self, labels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return features (..., d) of labels (...,), each at a random place where its class stands.

        A class without places of its own, as unseen ones are, uses those of classes that stand where one with its embedding may be
        expected to (see `placing.near`): their neighbourhoods with itself in their stead. No mask of an unseen class is read, but with
        true masks (`gmmn.graph.masks`, the paper's proof of concept) they have been, and unseen classes have places of their own.
        """
        if self.places is None:
            raise RuntimeError("a graph generator has places to sample from only after `fit`")
        flat = labels.ravel()
        roots = self.places.root_labels
        embeddings = self.embeddings.cpu()
        candidates, around = placing.by_class(self.places, embeddings)
        chosen = torch.empty(len(flat), dtype=torch.int64)
        for label in flat.unique().tolist():
            of_label = flat == label
            hosts = torch.tensor(placing.near(embeddings, label, candidates, around, self.own.near))
            host = hosts[torch.randint(len(hosts), (int(of_label.sum()),), generator=random)]
            # Places are sorted by the class that stands there.
            first, last = torch.searchsorted(roots, host), torch.searchsorted(roots, host, right=True)
            offset = (torch.rand(len(host), generator=random, dtype=torch.float64) * (last - first)).long()
            chosen[of_label] = first + offset
        fake = self.at_places(self.places.take(chosen).with_roots(flat), random)
        return fake.reshape(*labels.shape, -1)

    def at_places(self, places: neighbourhoods.Neighbourhoods, random: torch.Generator) -> torch.Tensor:
        """Return the features (k, d) of the roots of `places`; every node has noise of its own."""
        noise = self.noise(places.labels.shape, random)
        nodes = torch.cat([self.embeddings[places.labels.to(self.device)], noise], dim=1)
        edges, roots = places.joined_edges(), places.starts[:-1]
        return self.layers(nodes, edges.to(self.device), roots.to(self.device))


def unseen_places(
    path: pathlib.Path, split: splits.Split, options: Params, seed: int, stride: int
) -> neighbourhoods.Neighbourhoods | None:
    """Return where unseen classes are in the unlabelled images if `gmmn.graph.masks` is a folder, None otherwise.

    Args:
        path: the folder of their masks, or an empty file.
        split: the unlabelled images and the unseen classes.
        options: section `gmmn.graph`.
        seed: of which places are kept.
        stride: pixels between neighbouring cells of the feature map.

    Raises:
        errors.UserError: if `path` is not the folder of masks that this needs, or is one that nothing may read.
    """
    if (options.context == "true_masks") is not path.is_dir():
        raise errors.UserError(
            f"gmmn.graph.masks: needs a folder of masks such as data/masks/unlabelled, or data/pretrained/none for none; found {path}"
        )
    if options.context == "near":
        if path.read_bytes():
            raise errors.UserError(f"gmmn.graph.masks: {path} is not empty, as a file named none must be")
        return None
    masks = (image_files.read_mask(path / f"{item.id}.png") for item in split.unlabelled)
    graphs = shard_graphs.of_masks(progress.track(masks, "true masks", total=len(split.unlabelled)), stride)
    return neighbourhoods.of_classes(graphs, split.unseen, options.contexts_per_class, seed)


def _to_keep(real: pools.Pool, of_row: torch.Tensor, per_class: int, random: torch.Generator) -> torch.Tensor:
    """Draw the places to keep, at most `per_class` of each class, in the order of classes; a place is as likely as it has rows."""
    index, mask = pools.draw_rows(real, per_class, random)
    return of_row[index[mask]]
