"""A tiny world of graphs for tests: in each image one component in the middle touches a ring, and its features tell of both."""

import numpy as np
import torch

from zeroshot.cache import graphs, rows

# Seen classes 0 to 3 and 5, unseen 4; class 5 is a ring only. Embeddings: 4 lies near 2 and 3, far from 0 and 1.
EMBEDDINGS = torch.tensor([[1, 0, 0], [1, 0.2, 0], [0, 1, 0], [0, 1, 0.3], [0, 1, 0.1], [0, 0, 1.0]])
SEEN, UNSEEN = (0, 1, 2, 3, 5), (4,)
# Which classes a class lies in.
RINGS = {0: (5,), 1: (5,), 2: (0, 5), 3: (0, 1)}
ROWS_PER_NODE = 3


def feature(label: int, ring: int) -> np.ndarray:
    """Return the mean feature (4,) of a component of `label` that touches one of `ring`: 2 in a place, each of which has a meaning."""
    mean = 2 * EMBEDDINGS[[label, ring]].numpy()
    return np.array([*mean[0], mean[1, 2]])


def make(n_images: int = 120, seed: int = 0) -> tuple[graphs.Graphs, rows.Rows]:
    """Return graphs of two touching components each, and rows of both, sorted by class."""
    rng = np.random.default_rng(seed)
    pairs = [(label, int(rng.choice(RINGS[label]))) for label in rng.integers(0, 4, n_images).tolist()]
    n = 2 * n_images
    graph = graphs.Graphs(
        image=np.arange(n, dtype=np.int32) // 2,
        component=np.arange(n, dtype=np.int32) % 2 + 1,
        label=np.array(pairs, np.uint8).ravel(),
        size=np.ones(n, np.int32),
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
