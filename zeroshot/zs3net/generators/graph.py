"""Graph context: features of a component generated from the component graph of its whole mask (paper section 2.2).

The released code keeps the perceptron and uses graph convolutions for an auxiliary loss. Here, as in the paper, they generate the features.
"""

import pathlib
from collections.abc import Iterator
from typing import Any, Literal

import torch

from zeroshot.base import errors, params, progress, user_files
from zeroshot.cache import graphs as shard_graphs
from zeroshot.cache import pools
from zeroshot.datasets import splits
from zeroshot.images import image_files
from zeroshot.zs3net.generators import generator, matching, placing, scenes

# Sampling joins graphs of about this many nodes at a time, to bound its memory; a larger graph is a part of its own.
_NODES_AT_A_TIME = 1 << 16


@params.section
class Params:
    """The section `gmmn.graph`; see params.yaml."""

    masks: params.DataPath
    skip: bool
    context_weight: params.NonNegative
    near: params.Count
    contexts_per_class: params.Count

    @property
    def context(self) -> Literal["near", "true_masks"]:
        """Where unseen classes are placed: as seen classes of similar context, or as in the true `masks`; recorded in results."""
        return "near" if pathlib.PurePath(self.masks).name == "none" else "true_masks"


class GraphContext(generator.Generator):
    """Graph convolutions, and components of training images with the graphs of their masks as the context for sampling.

    Attributes:
        layers: the graph convolutions.
        places: a bounded number of components of each class that has any, sorted by class, with their graphs; None before `fit`.
    """

    def __init__(self, options: generator.Options, embeddings: torch.Tensor, feature_dim: int) -> None:
        super().__init__(options, embeddings, feature_dim)
        self.settings: Params = self.section()
        # Imported here because torch_geometric takes seconds to load.
        from zeroshot.zs3net.generators import gcn

        self.layers = gcn.GCN(
            embeddings.shape[1] + options.noise_dim,
            options.hidden_dim,
            feature_dim,
            options.dropout,
            options.output == "relu",
            self.settings.skip,
        )
        self.places: scenes.Places | None = None

    @property
    def provenance(self) -> dict[str, str]:
        """Whether true masks of unseen classes gave their context."""
        return {"graph_context": self.settings.context}

    def get_extra_state(self) -> dict[str, torch.Tensor]:
        """Return the places as tensors, for the checkpoint."""
        return {} if self.places is None else vars(self.places)

    def set_extra_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore the places from the result of `get_extra_state`."""
        self.places = scenes.Places(**state) if state else None

    def epochs(self, real: pools.Pool, context: scenes.RowPlaces | None) -> Iterator[dict[str, Any]]:
        """Match generated to real features of each class; for each real feature, one is generated for the same component.

        The convolutions run over the graphs of whole masks. Components of one mask share a run in a step, as in the paper; a component
        that is sampled again has another run, with new noise.

        Features and surroundings are compared jointly. With context_weight w, features are extended by sqrt(w m) times the mean class
        embedding of the neighbours, where m is the median squared distance within a class. A Gaussian kernel of extended features is the
        product of a kernel of the features and one of the surroundings. So features are compared mostly with features of similar
        surroundings.

        Yields:
            the rows of `matching.epochs`.

        Raises:
            errors.UserError: if the cache has no graphs, or none of an image without unseen or held-out classes.
        """
        if context is None:
            raise errors.UserError(
                "gmmn.generator: graph needs component graphs, which the cache lacks; make it again with "
                "`dvc repro --force --single-item dump_features`"
            )
        if not (context.rows >= 0).any():
            raise errors.UserError(
                "gmmn.generator: graph needs training images without unseen classes (in cross-validation: without held-out classes),"
                " found none; lower classifier.calibration.held_out or choose another generator"
            )
        options = self.options
        random = torch.Generator().manual_seed(options.seed)
        places = context.places
        real, place_of_row = pools.restrict(real, context.rows >= 0), context.rows[context.rows >= 0]
        self.places = places.take(_sample_places(real, place_of_row, self.settings.contexts_per_class, random))
        if context.unseen is not None:
            joined = scenes.concatenate(self.places, context.unseen)
            self.places = joined.take(joined.root_labels.argsort(stable=True))
        kernel_variances = matching.variances(real, options)
        scale = (self.settings.context_weight * matching.median(real, options)) ** 0.5
        around = scale * placing.surroundings(places, self.embeddings)

        def draw() -> matching.Batch:
            index, mask = pools.draw_rows(real, options.batch_per_class, random)
            x, chosen = real.features[index].float().to(self.device), place_of_row[index]
            batch = places.take(chosen.ravel(), scenes.occurrences(chosen.ravel()))
            fake = self.at_places(batch, random).reshape(x.shape)
            real_pairs, fake_pairs = (torch.cat([features, around[chosen]], dim=2) for features in (x, fake))
            return matching.Batch(x, real_pairs, fake_pairs, mask.to(self.device))

        return matching.epochs(self, draw, kernel_variances, options)

    def sample(self, labels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return features (..., d) of labels (...,), each at a random place of its class, with its own run over the graph of a mask.

        An unseen class has no places. It replaces the class of one component in graphs of seen classes that are expected to have a similar
        context (see `placing.near`), so no mask of an unseen class is read. With true masks (`gmmn.graph.masks`, the paper's proof of
        concept) unseen classes have their own places instead.
        """
        if self.places is None:
            raise RuntimeError("a graph generator can sample only after `fit`, which sets its places")
        flat_labels = labels.ravel()
        roots = self.places.root_labels
        embeddings = self.embeddings.cpu()
        candidates, around = placing.by_class(self.places, embeddings)
        chosen = torch.empty(len(flat_labels), dtype=torch.int64)
        for label in flat_labels.unique().tolist():
            has_label = flat_labels == label
            hosts = torch.tensor(placing.near(embeddings, label, candidates, around, self.settings.near))
            sampled_hosts = hosts[torch.randint(len(hosts), (int(has_label.sum()),), generator=random)]
            # Places are sorted by the class of their component.
            first, last = torch.searchsorted(roots, sampled_hosts), torch.searchsorted(roots, sampled_hosts, right=True)
            offset = (torch.rand(len(sampled_hosts), generator=random, dtype=torch.float64) * (last - first)).long()
            chosen[has_label] = first + offset
        part_of_sample = self.places.sizes[chosen].cumsum(0) // _NODES_AT_A_TIME
        parts = part_of_sample.unique(return_counts=True)[1].tolist() or [0]
        fakes = []
        for of_part, classes in zip(chosen.split(parts), flat_labels.split(parts), strict=True):
            places = self.places.take(of_part, torch.arange(len(of_part))).with_roots(classes)
            fakes.append(self.at_places(places, random))
        return torch.cat(fakes).unflatten(0, labels.shape)

    def at_places(self, places: scenes.Places, random: torch.Generator) -> torch.Tensor:
        """Return generated features (k, d) of the components of `places`, with independent noise for every node of their graphs."""
        noise = self.noise(places.labels.shape, random)
        nodes = torch.cat([self.embeddings[places.labels.to(self.device)], noise], dim=1)
        return self.layers(nodes, places.edges.to(self.device), places.roots.to(self.device))


def unseen_places(
    path: pathlib.Path, split: splits.Split, options: Params, seed: int, stride: int
) -> scenes.Places | None:
    """Return the places of unseen classes in the unlabelled images if `gmmn.graph.masks` is a folder, None otherwise.

    Args:
        path: the folder of their true masks, or an empty file.
        split: the unlabelled images and the unseen classes.
        options: section `gmmn.graph`.
        seed: of the choice of places.
        stride: pixels between neighbouring cells of the feature map.

    Raises:
        errors.UserError: if `path` does not exist or does not agree with `options.context`.
    """
    if (options.context == "true_masks") is not path.is_dir():
        raise errors.UserError(
            f"gmmn.graph.masks: needs a folder of masks such as data/masks/unlabelled, or data/pretrained/none for none; found {path}"
        )
    if options.context == "near":
        if user_files.head(path):
            raise errors.UserError(f"gmmn.graph.masks: {path} is not empty, as a file named none must be")
        return None
    masks = (image_files.read_mask(path / f"{item.id}.png") for item in split.unlabelled)
    graphs = shard_graphs.of_masks(progress.track(masks, "true masks", total=len(split.unlabelled)), stride)
    return scenes.of_classes(graphs, split.unseen, options.contexts_per_class, seed)


def _sample_places(
    real: pools.Pool, place_of_row: torch.Tensor, per_class: int, random: torch.Generator
) -> torch.Tensor:
    """Sample at most `per_class` places of each class, in the order of classes, in proportion to their numbers of rows."""
    index, mask = pools.draw_rows(real, per_class, random)
    return place_of_row[index[mask]]
