"""Synthetic component graphs: each image has a component inside a ring, and its features depend on the classes of both."""

import numpy as np
import torch

from zeroshot.cache import graphs, rows

# The embedding of class 4, which is unseen, is close to those of 2 and 3 and far from those of 0 and 1. Class 5 is always a ring.
EMBEDDINGS = torch.tensor([[1, 0, 0], [1, 0.2, 0], [0, 1, 0], [0, 1, 0.3], [0, 1, 0.1], [0, 0, 1.0]])
SEEN, UNSEEN = (0, 1, 2, 3, 5), (4,)
# Class of a component -> classes of the rings around it.
RINGS = {0: (5,), 1: (5,), 2: (0, 5), 3: (0, 1)}
ROWS_PER_NODE = 3


def feature(label: int, ring: int) -> np.ndarray:
    """Return the mean feature (4,) of a component of class `label` that touches a component of class `ring`."""
    mean = 2 * EMBEDDINGS[[label, ring]].numpy()
    return np.array([*mean[0], mean[1, 2]])


def make(n_images: int = 120, seed: int = 0) -> tuple[graphs.Graphs, rows.Rows]:
    """Return graphs with two touching components per image, and their rows, sorted by class."""
    rng = np.random.default_rng(seed)
    pairs = [(label, int(rng.choice(RINGS[label]))) for label in rng.integers(0, 4, n_images).tolist()]
    n = 2 * n_images
    graph = graphs.Graphs(
        image=np.arange(n, dtype=np.int32) // 2,
        component=np.arange(n, dtype=np.int32) % 2 + 1,
        label=np.array(pairs, np.uint16).ravel(),
        edges=np.arange(n, dtype=np.int32).reshape(-1, 2),
    )
    node = np.repeat(np.arange(n), ROWS_PER_NODE)
    node = node[np.argsort(graph.label[node], kind="stable")]
    means = np.array([feature(int(graph.label[k]), int(graph.label[k ^ 1])) for k in range(n)])
    return graph, {
        "features": (means[node] + rng.normal(0, 0.1, (len(node), 4))).astype(np.float16),
        "label": graph.label[node],
        "image": graph.image[node],
        "view": np.zeros(len(node), np.uint8),
        "component": graph.component[node],
        "weight": np.ones(len(node), np.float32),
    }
