"""The generators that params.yaml can name. A new one is a file beside this one and a line in GENERATORS.

All are trained, rehearsed and sampled alike; but a classifier says in its facts that its features had graph context. Such a file has
three functions, which `gmmn` calls:

    build(embedding_dim, feature_dim, options) -> nn.Module
        The untrained network. What it needs to sample beside its weights, learnt in `fit`, it keeps as buffers or as
        `get_extra_state`, so that its `state_dict` is all of it.
    fit(network, embeddings, real, options, context) -> Iterator[dict]
        Trains the network in place, in training mode, and yields {epoch, loss, ...} after each epoch. `real` is the pool of
        features of seen classes; `context` is what the caller has beside it and the generator may ask for, or None.
    sample(network, embeddings, labels, options, random) -> Tensor
        Features (..., d) on the device of `embeddings` for labels (...,); all noise and conditioning come from `random`.

`embeddings` are (C, d_a) float32 of all classes in label order, `options` the section `gmmn`, where the generator may have keys
of its own under its name (a field of `gmmn.Params`).
"""

from types import ModuleType

from zeroshot.zs3net.generators import gan, graph, mlp

GENERATORS: dict[str, ModuleType] = {"mlp": mlp, "gan": gan, "graph": graph}


def known(name: str) -> str:
    """Return `name`.

    Raises:
        ValueError: if no generator has it.
    """
    if name not in GENERATORS:
        raise ValueError(f"there is no generator of this name; known are {', '.join(GENERATORS)}")
    return name
