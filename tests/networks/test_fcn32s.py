import math

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from tests.support import small_vgg as small
from zeroshot.images import grids
from zeroshot.networks import fcn32s, supervised_training, weights

small_vgg = small.small_vgg

SIDES = range(17, 201)
# The original's transposed convolution and the first pixel of its crop.
KERNEL, STRIDE, CROP = 64, 32, 19
# The bilinear kernel of FCN (Long et al.): a triangle around 31.5 that falls to 0 at a distance of 32.
TRIANGLE = 1 - (torch.arange(KERNEL, dtype=torch.float64) - 31.5).abs() / STRIDE


def cells_of(side):
    """Return the number of cells along a side, layer by layer."""
    cells = side + 2 * 100 - 2
    for _ in range(5):
        cells = math.ceil(cells / 2)
    return cells - 6


def transposed(side):
    """Return the original's upsampling along a side before the crop, (pixels, cells)."""
    kernels = torch.eye(cells_of(side), dtype=torch.float64)[:, None]
    return functional.conv_transpose1d(kernels, TRIANGLE[None, None], stride=STRIDE)[:, 0].T


def ours(side):
    """Return the upsampling by `grids.upsample` and a cut of the margin, (side, cells)."""
    margin = fcn32s.FCN32s.margin
    cells = torch.eye(cells_of(side), dtype=torch.float64)[None, :, :, None]
    return grids.upsample(cells, (side + 2 * margin, 2 * margin), STRIDE)[0, :, margin:-margin, 0].T


def test_the_crop_fits_and_the_bilinear_kernel_sums_to_one_for_every_side_from_17_to_200():
    for side in SIDES:
        pixels = transposed(side)
        assert len(pixels) >= CROP + side
        sums = pixels[CROP : CROP + side].sum(1)
        last = STRIDE * cells_of(side) - CROP
        interior = sums[13:last]
        assert torch.equal(interior, torch.ones_like(interior))
        border = torch.cat([sums[:13], sums[last:]])
        assert (border > 0).all() and (border < 1).all() and len(border) <= 26


def test_upsampling_is_the_original_up_to_one_factor_at_the_border_for_every_side():
    for side in SIDES:
        original = transposed(side)[CROP : CROP + side]
        torch.testing.assert_close(ours(side), original / original.sum(1, keepdim=True), rtol=0, atol=1e-12)


def test_upsampled_maps_are_equal_inside_and_decide_the_same_everywhere():
    height, width = 90, 133
    margin = fcn32s.FCN32s.margin
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 5, cells_of(height), cells_of(width))))
    kernel = torch.outer(TRIANGLE, TRIANGLE)[None, None] * torch.ones(5, 1, 1, 1)
    original = functional.conv_transpose2d(logits, kernel, stride=STRIDE, groups=5)
    original = original[..., CROP : CROP + height, CROP : CROP + width]
    pixels = grids.upsample(logits, (height + 2 * margin, width + 2 * margin), STRIDE)[
        ..., margin:-margin, margin:-margin
    ]
    inside = (..., slice(13, height - 13), slice(13, width - 13))
    torch.testing.assert_close(pixels[inside], original[inside])
    assert not torch.allclose(pixels, original)
    assert torch.equal(pixels.argmax(1), original.argmax(1))


@pytest.fixture(scope="module")
def shapes_only():
    """Return the whole network without values."""
    with torch.device("meta"):
        return fcn32s.FCN32s(20, 0.5).eval()


@pytest.mark.parametrize("size", [(366, 500), (17, 200), (58, 59)])
def test_sizes_of_the_whole_network(shapes_only, size):
    images = torch.empty(2, 3, *size, dtype=torch.uint8, device="meta")
    assert shapes_only.features(images).shape == (2, 4096, *map(cells_of, size))
    assert shapes_only(images).shape == (2, 20, *map(cells_of, size))
    assert tuple(map(cells_of, size)) == grids.map_size(size[0] + 6, size[1] + 6, 32)


def test_parameters_are_those_of_vgg16_but_its_last_layer(shapes_only):
    with torch.device("meta"):
        state = torchvision.models.vgg16().state_dict()
    views = fcn32s.torchvision_views(shapes_only)
    expected = {name: value.shape for name, value in state.items() if not name.startswith("classifier.6")}
    assert {name: value.shape for name, value in views.items()} == expected
    n = sum(value.numel() for value in shapes_only.parameters())
    assert n == sum(map(math.prod, expected.values())) + 20 * 4096 + 20


def build(n_classes=3, dropout=0.0):
    torch.manual_seed(0)
    return fcn32s.FCN32s(n_classes, dropout).eval()


def random_images(height, width, n=1):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, 3, height, width), dtype=np.uint8))


@pytest.mark.parametrize("size", [(17, 20), (1, 64), (90, 59)])
def test_features_are_non_negative_and_the_classifier_reads_them(small_vgg, size):
    network = build()
    with torch.no_grad():
        features, logits = network.features(random_images(*size)), network(random_images(*size))
    assert features.shape == (1, small.FEATURE_DIM, *map(cells_of, size))
    assert (features >= 0).all() and 0.1 < (features > 0).float().mean() < 0.9
    weight, bias = network.classifier.weight[:, :, 0, 0], network.classifier.bias
    expected = torch.einsum("nd,bdhw->bnhw", weight, features) + bias[:, None, None]
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_a_mirrored_image_has_the_mirrored_map(small_vgg):
    """The middle of the map is the middle of the image, so cells are centred at 32 i + 12.5, where the poolings round nothing."""
    side = 2 * 32 - 2 * fcn32s.FCN32s.margin
    network, images = build().double(), random_images(side, side)
    with torch.no_grad():
        features = network.features(images)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.copy_(layer.weight.flip(-1, -2))
        mirrored = network.features(images.flip(-1, -2))
    torch.testing.assert_close(mirrored.flip(-1, -2), features)
    assert not torch.allclose(mirrored, features)


def test_images_are_normalised_as_torchvision_and_padded_by_the_mean_colour(small_vgg):
    network, image = build(), random_images(8, 13)
    inputs = []
    network.stem.register_forward_hook(lambda _, arguments, __: inputs.append(arguments[0]))
    with torch.no_grad():
        network.features(image)
    normalise = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    torch.testing.assert_close(inputs[0], normalise(image.float() / 255))
    assert network.stem[0].padding == (100, 100) and network.stem[0].padding_mode == "zeros"


def test_whole_channels_are_dropped_after_fc6_and_after_fc7_in_training_only(small_vgg):
    network, images = build(dropout=0.5), random_images(40, 40)
    seen = {}
    network.trunk.fc7.register_forward_hook(lambda _, inputs, __: seen.update(fc6=inputs[0]))
    network.classifier.register_forward_hook(lambda _, inputs, __: seen.update(fc7=inputs[0]))
    with torch.no_grad():
        assert torch.equal(network(images), network(images))
        torch.manual_seed(0)
        network.train()(images)
        dropped = {layer: (values[0] == 0).flatten(1).all(1).float().mean().item() for layer, values in seen.items()}
        network.eval()(images)
        dead = {layer: (values[0] == 0).flatten(1).all(1).float().mean().item() for layer, values in seen.items()}
    assert all(dropped[layer] > dead[layer] + 0.2 for layer in ("fc6", "fc7"))


def torchvision_state(network):
    """Return a random state dict with torchvision's names and shapes for a network, with a head."""
    random = torch.Generator().manual_seed(1)
    views = fcn32s.torchvision_views(network)
    state = {name: torch.rand(value.shape, generator=random) - 0.4 for name, value in views.items()}
    return {
        **state,
        "classifier.6.weight": torch.zeros(1000, small.FEATURE_DIM),
        "classifier.6.bias": torch.zeros(1000),
    }


def test_loaded_weights_compute_what_torchvision_computes(small_vgg, tmp_path):
    """For an image of 224 pixels with the ordinary padding, the one cell of fc7 is the output of torchvision's two linear layers."""
    network = build()
    state = torchvision_state(network)
    torch.save(state, tmp_path / "vgg.pth")
    weights.load_encoder(network, "vgg16_fcn32s", weights.read_file(tmp_path / "vgg.pth"), "vgg.pth", "network")
    network.stem[0].padding = (1, 1)
    image = random_images(224, 224)
    with torch.no_grad():
        features = network.features(image)
        x = (image / 255 - network.mean) / network.std
        number = 0
        for layer in torchvision.models.vgg.cfgs["D"]:
            if layer == "M":
                x, number = functional.max_pool2d(x, 2), number + 1
            else:
                weight, bias = (state[f"features.{number}.{kind}"] for kind in ("weight", "bias"))
                x, number = functional.conv2d(x, weight, bias, padding=1).relu(), number + 2
        x = x.flatten(1)
        for layer in ("classifier.0", "classifier.3"):
            x = functional.linear(x, state[f"{layer}.weight"], state[f"{layer}.bias"]).relu()
    assert features.shape[-2:] == (1, 1) and features.any()
    torch.testing.assert_close(features[..., 0, 0], x, rtol=1e-4, atol=x.max().item() * 1e-5)


def refusal(network, state):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(weights.WeightsError) as caught:
        weights.load_encoder(network, "vgg16_fcn32s", state, "vgg.pth", "network")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    return str(caught.value)


def test_weights_that_do_not_fit_are_refused_with_the_keys_of_the_section(small_vgg):
    network = build()
    state = torchvision_state(network)
    convolutions = {name: value for name, value in state.items() if name.startswith("features.")}
    lines = refusal(network, convolutions).splitlines()
    assert lines[:2] == [
        "vgg.pth: does not fit vgg16_fcn32s, the encoder of network.encoder",
        "  missing (4): classifier.0.weight, classifier.0.bias, classifier.3.weight, classifier.3.bias",
    ]
    assert lines[2].startswith("  network.weights needs all weights of the encoder")
    resnet = torchvision.models.resnet18().state_dict()
    assert (
        refusal(network, resnet)
        == "vgg.pth: looks like resnet18, but network.encoder is vgg16_fcn32s; change one of them"
    )


def test_weights_that_are_not_finite_are_refused(small_vgg):
    """Torchvision's IMAGENET1K_FEATURES of VGG-16 has NaN in its linear layers."""
    network = build()
    state = torchvision_state(network)
    state["classifier.0.weight"] = torch.full_like(state["classifier.0.weight"], math.nan)
    assert refusal(network, state) == (
        "vgg.pth: values of classifier.0.weight are not finite; set network.weights to other weights"
    )


def test_the_name_of_torchvisions_weights_selects_those_of_vgg16(tmp_path, monkeypatch):
    loaded = []
    enum = torchvision.models.VGG16_Weights
    monkeypatch.setattr(enum, "get_state_dict", lambda self, **_: loaded.append(self) or {"a": 1})
    (tmp_path / "IMAGENET1K_V1").touch()
    assert weights.read(tmp_path / "IMAGENET1K_V1", "vgg16_fcn32s", "network") == {"a": 1}
    assert loaded == [enum.IMAGENET1K_V1]
    (tmp_path / "V3").touch()
    with pytest.raises(weights.WeightsError, match=r"weights of vgg16_fcn32s; set network.weights to .*IMAGENET1K_V1"):
        weights.read(tmp_path / "V3", "vgg16_fcn32s", "network")


@pytest.mark.parametrize("loss_at", ["image", "features"])
def test_the_loss_of_training_is_that_of_the_image_without_its_margin(small_vgg, loss_at):
    network, images = build(), random_images(70, 91, n=2)
    target = torch.from_numpy(np.random.default_rng(1).choice([0, 1, 2, 65535], (2, 70, 91)))
    with torch.no_grad():
        logits = network(images)
        with_margin = grids.add_margin(target, network.margin)
        loss = supervised_training._loss(logits, with_margin, 32, loss_at, supervised_training.cross_entropy)
        if loss_at == "image":
            outputs = grids.upsample(logits, (76, 97), 32)[..., 3:-3, 3:-3]
        else:
            # The centres of the last cells are beyond the image's 70 rows, at pixel 77, and at pixel 109 of its 91 columns.
            outputs, target = logits[:, :, :2, :3], target[:, 13::32, 13::32]
        expected = functional.cross_entropy(outputs, target, ignore_index=65535)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
