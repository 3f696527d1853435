import os
import pathlib

import pytest
import torch
import torchvision

from zeroshot.networks import deeplab, weights

# Torchvision's layer names -> names in the encoder; blocks of MobileNetV2 keep their numbers.
RESNET = {
    "conv1": "stem.0",
    "bn1": "stem.1",
    "layer1": "stem.4",
    "layer2": "trunk.0",
    "layer3": "trunk.1",
    "layer4": "trunk.2",
}
MOBILENET = {f"features.{i}": f"stem.{i}" for i in range(4)} | {
    f"features.{i}": f"trunk.{int(i >= 7) + int(i >= 14)}.{i}" for i in range(4, 18)
}


def random_state(encoder, seed=1):
    """Return a state dict of `encoder` whose tensors all differ from those of a new network, statistics included."""
    random = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = {key: value for key, value in torchvision.models.get_model(encoder).state_dict().items()}
    return {
        key: torch.rand(value.shape, generator=random) + 1 if value.is_floating_point() else torch.tensor(seed)
        for key, value in shapes.items()
    }


@pytest.fixture(scope="module")
def mobilenet_state():
    return random_state("mobilenet_v2")


@pytest.fixture
def network():
    return deeplab.DeepLabV3Plus("mobilenet_v2", 16, 3, True, 0.0)


def assert_encoder(network, state, names):
    """Check that every tensor of stem and trunk equals the corresponding tensor of `state`, and that none is left over."""
    loaded = {key: value for key, value in network.state_dict().items() if key.startswith(("stem.", "trunk."))}
    n_compared = 0
    for key, value in state.items():
        for old, new in names.items():
            if key.startswith(f"{old}."):
                assert torch.equal(loaded[new + key.removeprefix(old)], value), key
                n_compared += 1
    assert n_compared == len(loaded) > 100


def refusal(network, encoder, state, partial=False):
    """Return the error message of a refused state dict."""
    with pytest.raises(weights.WeightsError) as caught:
        weights.load_encoder(network, encoder, state, partial)
    return str(caught.value)


def test_every_tensor_of_a_torchvision_resnet_is_loaded():
    network = deeplab.DeepLabV3Plus("resnet18", 8, 3, True, 0.0)
    state = random_state("resnet18")
    weights.load_encoder(network, "resnet18", state, partial=False)
    assert_encoder(network, state, RESNET)


def test_every_tensor_of_a_mobilenet_file_is_loaded_and_the_head_stays(tmp_path, network, mobilenet_state):
    head = {key: value.clone() for key, value in network.state_dict().items() if not key.startswith(("stem", "trunk"))}
    torch.save(mobilenet_state, tmp_path / "w.pth")
    weights.load_encoder(network, "mobilenet_v2", weights.read_file(tmp_path / "w.pth"), partial=False)
    assert_encoder(network, mobilenet_state, MOBILENET)
    assert all(torch.equal(network.state_dict()[key], value) for key, value in head.items())


def test_every_missing_unexpected_and_misshapen_key_is_named(network, mobilenet_state):
    state = dict(mobilenet_state)
    for key in ("features.0.0.weight", "classifier.1.bias"):
        del state[key]
    state["features.99.weight"] = state["extra"] = torch.zeros(1)
    state["features.1.conv.1.weight"] = torch.zeros(16, 32, 3, 3)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert refusal(network, "mobilenet_v2", state).splitlines() == [
        "weights do not fit mobilenet_v2",
        "  missing (2): features.0.0.weight, classifier.1.bias",
        "  unexpected (2): features.99.weight, extra",
        "  misshapen (1): features.1.conv.1.weight (16, 32, 3, 3) where (16, 32, 1, 1) is needed",
        "  set backbone.partial_weights: true to load a partial checkpoint",
    ]
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("key", ["features.0.0.weight", "features.17.conv.3.running_var", "classifier.1.weight"])
def test_one_missing_key_is_refused(network, mobilenet_state, key):
    state = {name: value for name, value in mobilenet_state.items() if name != key}
    assert f"  missing (1): {key}\n" in refusal(network, "mobilenet_v2", state)


def test_weights_without_batch_counters_are_complete(network, mobilenet_state):
    """Torchvision's IMAGENET1K_V1 weights of the ResNets have no `num_batches_tracked`; PyTorch loads them as complete."""
    state = {key: value for key, value in mobilenet_state.items() if not key.endswith("num_batches_tracked")}
    weights.load_encoder(network, "mobilenet_v2", state, partial=False)
    for key, value in network.state_dict().items():
        if key.startswith(("stem", "trunk")) and key.endswith("num_batches_tracked"):
            assert value == 0
    full = {**mobilenet_state, **{key: torch.tensor(0) for key in mobilenet_state if key not in state}}
    assert_encoder(network, full, MOBILENET)


def test_partial_weights_are_loaded_only_if_allowed(network, mobilenet_state):
    part = {key: value for key, value in mobilenet_state.items() if key.startswith("features.")}
    part = {key: value for key, value in part.items() if int(key.split(".")[1]) < 7}
    part["extra"] = torch.zeros(1)
    refusal(network, "mobilenet_v2", part)
    weights.load_encoder(network, "mobilenet_v2", part, partial=True)
    loaded = network.state_dict()
    for key, value in part.items():
        if key != "extra":
            old = ".".join(key.split(".")[:2])
            assert torch.equal(loaded[MOBILENET[old] + key.removeprefix(old)], value)
    assert not torch.equal(loaded["trunk.1.7.conv.0.0.weight"], mobilenet_state["features.7.conv.0.0.weight"]), (
        "the other layers must stay random"
    )


def test_partial_weights_of_wrong_shape_are_refused(network, mobilenet_state):
    state = {**mobilenet_state, "features.0.1.weight": torch.zeros(31)}
    assert refusal(network, "mobilenet_v2", state, partial=True).splitlines() == [
        "weights do not fit mobilenet_v2",
        "  misshapen (1): features.0.1.weight (31,) where (32,) is needed",
    ]


def test_partial_weights_without_a_fitting_key_are_refused(network):
    lines = refusal(network, "mobilenet_v2", {"backbone.conv1.weight": torch.zeros(1)}, partial=True).splitlines()
    assert lines[1].startswith("  missing (") and "features.0.0.weight" in lines[1]
    assert lines[2:] == ["  unexpected (1): backbone.conv1.weight"]


def test_weights_of_another_encoder_are_refused(network):
    text = refusal(network, "mobilenet_v2", random_state("resnet18"))
    assert "missing" in text and "layer4.1.bn2.running_var" in text


@pytest.fixture
def real_weights():
    if "ZS3_DATA" not in os.environ:
        pytest.skip("needs ZS3_DATA, the folder of real data with weights/ in it")
    return pathlib.Path(os.environ["ZS3_DATA"]) / "weights"


def test_real_mobilenet_weights_are_complete(real_weights, network):
    state = weights.read_file(real_weights / "mobilenet_v2_imagenet.pth")
    weights.load_encoder(network, "mobilenet_v2", state, partial=False)
    assert_encoder(network, state, MOBILENET)


def test_real_partial_resnet_weights_are_loaded_only_if_allowed(real_weights):
    state = weights.read_file(real_weights / "resnet18_conv1_to_layer3_imagenet.pth")
    network = deeplab.DeepLabV3Plus("resnet18", 16, 3, True, 0.0)
    with torch.device("meta"):
        keys = list(torchvision.models.resnet18().state_dict())
    missing = [key for key in keys if key.startswith(("layer4.", "fc.")) and not key.endswith("num_batches_tracked")]
    assert refusal(network, "resnet18", state).splitlines()[1:-1] == [
        f"  missing ({len(missing)}): {', '.join(missing)}"
    ]
    weights.load_encoder(network, "resnet18", state, partial=True)
    names = {old: new for old, new in RESNET.items() if old != "layer4"}
    loaded = network.state_dict()
    for key, value in state.items():
        old = key.split(".")[0]
        assert torch.equal(loaded[names[old] + key.removeprefix(old)], value), key
