import argparse
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


def refusal(network, encoder, state):
    """Return the error message of a refused state dict."""
    with pytest.raises(weights.WeightsError) as caught:
        weights.load_encoder(network, encoder, state, "w.pth")
    return str(caught.value)


def prefixed(prefix, state):
    return {prefix + name: value for name, value in state.items()}


HEADS = ("fc", "classifier")
HEAD = {"0.weight": torch.zeros(3, 3), "0.bias": torch.zeros(3), "2.weight": torch.zeros(2, 3)}
QUEUE = {"queue": torch.zeros(2, 4), "queue_ptr": torch.zeros(1, dtype=torch.long)}
# Name of a layout -> from the state dict of an encoder without its head (first) and that of another network (second) to a file's content.
LAYOUTS = {
    "torchvision": lambda first, _: {**first, **prefixed("fc.", HEAD), **prefixed("classifier.", HEAD)},
    "torchvision, without a head": lambda first, _: first,
    "MoCo v2": lambda first, second: {
        "epoch": 200,
        "arch": "resnet50",
        "optimizer": {"state": {}, "param_groups": []},
        "state_dict": prefixed(
            "module.",
            {
                **prefixed("encoder_q.", {**first, **prefixed("fc.", HEAD)}),
                **prefixed("encoder_k.", {**second, **prefixed("fc.", HEAD)}),
                **QUEUE,
            },
        ),
    },
    "MoCo v3": lambda first, second: {
        "epoch": 300,
        "state_dict": prefixed(
            "module.",
            {
                **prefixed("base_encoder.", {**first, **prefixed("fc.", HEAD)}),
                **prefixed("momentum_encoder.", {**second, **prefixed("fc.", HEAD)}),
                **prefixed("predictor.", HEAD),
            },
        ),
    },
    "DINO": lambda first, second: {
        "student": prefixed("module.backbone.", second) | prefixed("module.head.mlp.", HEAD),
        "teacher": prefixed("backbone.", first) | prefixed("head.mlp.", HEAD),
        "epoch": 100,
        "args": argparse.Namespace(arch="resnet50", lr=0.1),
        "dino_loss": {"center": torch.zeros(1, 4)},
    },
    "DINO, teacher alone": lambda first, _: {"teacher": prefixed("module.backbone.", first)},
    "VICReg": lambda first, _: {
        "epoch": 1000,
        "model": prefixed("module.backbone.", first) | prefixed("module.projector.", HEAD),
        "optimizer": {"state": {}},
    },
    "Barlow Twins": lambda first, _: {
        "epoch": 1000,
        "model": {
            **prefixed("module.backbone.", first),
            **prefixed("module.projector.", HEAD),
            "module.bn.running_mean": torch.zeros(4),
        },
    },
    "SwAV": lambda first, _: prefixed(
        "module.", {**first, **prefixed("projection_head.", HEAD), "prototypes.weight": torch.zeros(4, 4)}
    ),
    "SSCD": lambda first, _: prefixed("backbone.", first) | prefixed("embeddings.", HEAD),
    "torch.compile": lambda first, _: {"model": prefixed("module._orig_mod.", first)},
}


def constant_state(encoder, seed):
    """Return a state dict without head whose tensors differ from each other; each repeats one number, so that its file is small."""
    with torch.device("meta"):
        shapes = torchvision.models.get_model(encoder).state_dict()
    return {
        name: (torch.tensor(number + seed / 4) if value.is_floating_point() else torch.tensor(number)).expand(
            value.shape
        )
        for number, (name, value) in enumerate(shapes.items())
        if name.split(".")[0] not in HEADS
    }


@pytest.fixture(scope="module", params=["resnet18", "mobilenet_v2"])
def any_encoder(request):
    """Return the name of an encoder and a network that has it."""
    return request.param, deeplab.DeepLabV3Plus(request.param, 16, 3, True, 0.0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_tensor_is_needed_and_loaded_from_each_published_layout(tmp_path, layout, any_encoder):
    encoder, network = any_encoder
    first, second = (constant_state(encoder, seed) for seed in (1, 2))
    torch.save(LAYOUTS[layout](first, second), tmp_path / "w.pth")
    for value in network.state_dict().values():
        value.zero_()
    weights.load_encoder(network, encoder, weights.read_file(tmp_path / "w.pth"), "w.pth")
    assert_encoder(network, first, RESNET if encoder == "resnet18" else MOBILENET)
    assert not any(value.any() for key, value in network.state_dict().items() if not key.startswith(("stem", "trunk")))
    missing = [name for name in first if name.endswith("running_var")][12]
    torch.save(LAYOUTS[layout]({name: first[name] for name in first if name != missing}, second), tmp_path / "w.pth")
    assert f"  missing (1): {missing}\n" in refusal(network, encoder, weights.read_file(tmp_path / "w.pth"))


def test_every_tensor_is_loaded_at_output_stride_8():
    network = deeplab.DeepLabV3Plus("resnet18", 8, 3, True, 0.0)
    state = random_state("resnet18")
    weights.load_encoder(network, "resnet18", state, "w.pth")
    assert_encoder(network, state, RESNET)


def test_message_names_five_faults_at_most(network, mobilenet_state):
    state = {name: value for name, value in mobilenet_state.items() if not name.startswith("features.17.")}
    before = {key: value.clone() for key, value in network.state_dict().items()}
    text = refusal(network, "mobilenet_v2", state)
    names = [name for name in mobilenet_state if name.startswith("features.17.") and "num_batches" not in name]
    assert text.splitlines()[:2] == [
        "w.pth: does not fit mobilenet_v2, the encoder of backbone.encoder",
        f"  missing ({len(names)}): {', '.join(names[:5])}, ...",
    ]
    state["features.99.weight"] = state["extra"] = torch.zeros(1)
    state["features.1.conv.1.weight"] = torch.zeros(16, 32, 3, 3)
    assert refusal(network, "mobilenet_v2", state).splitlines()[1:4] == [
        f"  missing ({len(names)}): {names[0]}, ...",
        "  unexpected (2): features.99.weight, ...",
        "  misshapen (1): features.1.conv.1.weight (16, 32, 3, 3) where (16, 32, 1, 1) is needed",
    ]
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize(
    "own, other", [("resnet18", "resnet34"), ("resnet50", "resnet101"), ("mobilenet_v2", "resnet18")]
)
def test_weights_of_another_encoder_are_refused_with_its_name(own, other):
    """All names and shapes of ResNet-18 are in ResNet-34, and those of ResNet-50 in ResNet-101."""
    for encoder, found in ((own, other), (other, own)):
        with torch.device("meta"):
            network = deeplab.DeepLabV3Plus(encoder, 16, 3, True, 0.0)
            state = torchvision.models.get_model(found).state_dict()
        assert refusal(network, encoder, state) == (
            f"w.pth: looks like {found}, but backbone.encoder is {encoder}; change one of them"
        )


def test_weights_of_an_unknown_network_are_refused(network):
    lines = refusal(network, "mobilenet_v2", {"blocks.0.attn.qkv.weight": torch.zeros(1)}).splitlines()
    assert lines[1].startswith("  missing (") and "features.0.0.weight" in lines[1]
    assert lines[2] == "  unexpected (1): blocks.0.attn.qkv.weight" and "MoCo, DINO" in lines[3]


def test_weights_without_batch_counters_are_complete(network, mobilenet_state):
    """Torchvision's IMAGENET1K_V1 weights of the ResNets have no `num_batches_tracked`; PyTorch loads them as complete."""
    state = {key: value for key, value in mobilenet_state.items() if not key.endswith("num_batches_tracked")}
    weights.load_encoder(network, "mobilenet_v2", state, "w.pth")
    for key, value in network.state_dict().items():
        if key.startswith(("stem", "trunk")) and key.endswith("num_batches_tracked"):
            assert value == 0
    full = {**mobilenet_state, **{key: torch.tensor(0) for key in mobilenet_state if key not in state}}
    assert_encoder(network, full, MOBILENET)


@pytest.fixture
def real_weights():
    if "ZS3_DATA" not in os.environ:
        pytest.skip("needs ZS3_DATA, the folder of real data with weights/ in it")
    return pathlib.Path(os.environ["ZS3_DATA"]) / "weights"


def test_real_mobilenet_weights_are_complete(real_weights, network):
    state = weights.read_file(real_weights / "mobilenet_v2_imagenet.pth")
    weights.load_encoder(network, "mobilenet_v2", state, "w.pth")
    assert_encoder(network, state, MOBILENET)


def test_real_weights_of_a_part_of_a_resnet_are_refused(real_weights):
    state = weights.read_file(real_weights / "resnet18_conv1_to_layer3_imagenet.pth")
    network = deeplab.DeepLabV3Plus("resnet18", 16, 3, True, 0.0)
    assert refusal(network, "resnet18", state).splitlines()[1].startswith("  missing (25): layer4.0.conv1.weight, ")
    mobilenet = deeplab.DeepLabV3Plus("mobilenet_v2", 16, 3, True, 0.0)
    assert "looks like resnet18, but backbone.encoder is mobilenet_v2" in refusal(mobilenet, "mobilenet_v2", state)
