"""Self-training of the whole network, as in the paper: DeepLabv3+ with a last layer over all classes (section 2.2)."""

import dataclasses
from typing import Any

from zeroshot.base import checkpoints, params
from zeroshot.networks import backbone, segmentation_network
from zeroshot.pixel_classifiers import pixel_classifier

# The parameter with the learning rate.
LR_KEY = "self_training_network.lr"


@params.section
class Params:
    """The section `self_training_network`; see params.yaml."""

    epochs: params.Count
    lr: params.Positive
    seed: params.Seed


def recipe(checkpoint: dict[str, Any], options: Params) -> backbone.Params:
    """Return the training options of the network in `checkpoint`, with epochs, rate and seed from `options` and no part frozen."""
    original = params.build(checkpoint["config"], backbone.Params, "backbone", "backbone checkpoint")
    return dataclasses.replace(original, freeze="nothing", epochs=options.epochs, lr=options.lr, seed=options.seed)


def build(
    checkpoint: dict[str, Any], start: pixel_classifier.PixelClassifier
) -> segmentation_network.SegmentationNetwork:
    """Return the network of a checkpoint; its last layer is that of `start`, with its rows sorted by label."""
    order = start.labels.argsort()
    options = params.build(checkpoint["config"], backbone.Params, "backbone", "backbone checkpoint")
    network = backbone.new_network(options, len(order))
    last_layer_state = {
        "classifier.weight": start.weight[order][:, :, None, None],
        "classifier.bias": start.bias[order],
    }
    checkpoints.load_weights(network, {**checkpoint["network"], **last_layer_state}, "backbone checkpoint")
    return network


def last_layer(
    network: segmentation_network.SegmentationNetwork, start: pixel_classifier.PixelClassifier
) -> pixel_classifier.PixelClassifier:
    """Return the last layer of a network from `build` as a classifier on the CPU, with the seen bias of `start`."""
    order, state = start.labels.argsort(), network.state_dict()
    return dataclasses.replace(
        start,
        weight=state["classifier.weight"].float().cpu()[:, :, 0, 0],
        bias=state["classifier.bias"].float().cpu(),
        labels=start.labels[order],
        unseen=start.unseen[order],
    )
