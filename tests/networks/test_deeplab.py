import math
import typing

import numpy as np
import pytest
import torch
import torchvision

from zeroshot.networks import deeplab

ENCODERS = typing.get_args(deeplab.Encoder)


def build(encoder="mobilenet_v2", output_stride=16, n_classes=5, separable=True, dropout=0.0, device="cpu"):
    """Build a network. On the device `meta` its tensors have shapes but no values, which is fast."""
    torch.manual_seed(0)
    with torch.device(device):
        return deeplab.DeepLabV3Plus(encoder, output_stride, n_classes, separable, dropout).eval()


@pytest.fixture(scope="module")
def network():
    return build()


def random_images(height, width, n=1, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 3, height, width), dtype=np.uint8))


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_shapes_for_every_encoder_and_stride(encoder, output_stride):
    network = build(encoder, output_stride, n_classes=7, device="meta")
    sizes = {}
    for name in ("stem", "trunk", "decoder"):
        network.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: sizes.update({name: tuple(output.shape)})
        )
    logits = network(torch.empty(2, 3, 33, 47, dtype=torch.uint8, device="meta"))
    assert logits.shape == (2, 7, 9, 12)
    # Images are padded to 40 x 48 or 48 x 48 pixels.
    padded = {8: (10, 12), 16: (12, 12)}[output_stride]
    assert sizes["stem"][-2:] == padded and sizes["decoder"] == (2, 256, *padded)
    assert sizes["trunk"][-2:] == {8: (5, 6), 16: (3, 3)}[output_stride]


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (31, 18), (1, 5)])
def test_features_have_stride_4_and_are_non_negative(network, size):
    with torch.no_grad():
        features = network.features(random_images(*size))
    assert features.shape == (1, deeplab.FEATURE_DIM, math.ceil(size[0] / 4), math.ceil(size[1] / 4))
    assert (features >= 0).all() and 0.1 < (features > 0).float().mean() < 0.9


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenet_v2"])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_dilated_trunk_matches_torchvision_at_the_strided_cells(encoder, output_stride):
    """At every second (fourth) cell, the map of atrous convolutions equals the map of the strided network."""
    torch.manual_seed(0)
    original = torchvision.models.get_model(encoder).double().eval()
    for module in original.modules():
        if isinstance(module, torch.nn.Conv2d):
            # With torchvision's initial weights, the activations of a MobileNet almost vanish.
            torch.nn.init.kaiming_normal_(module.weight, mode="fan_in")
    cut = torchvision.models.get_model(encoder).double()
    cut.load_state_dict(original.state_dict())
    stem, trunk, low_dim, high_dim = deeplab.cut_encoder(encoder, cut.eval(), output_stride)
    images = torch.rand(1, 3, 32, 64, dtype=torch.float64)
    with torch.no_grad():
        if encoder == "mobilenet_v2":
            strided = original.features[:18](images)
        else:
            strided = torch.nn.Sequential(*list(original.children())[:-2])(images)
        low = stem(images)
        dense = trunk(low)
    step = 32 // output_stride
    assert low.shape[1] == low_dim and dense.shape[1] == strided.shape[1] == high_dim
    assert strided.abs().max() > 0.1
    torch.testing.assert_close(dense[..., ::step, ::step], strided)


@pytest.mark.parametrize("output_stride", [8, 16])
def test_atrous_convolutions_of_the_aspp_reach_96_192_and_288_pixels(output_stride):
    """Chen et al. (2017): rates 6, 12 and 18 at output stride 16, doubled at 8. The reach is measured by an impulse."""
    network = build(output_stride=output_stride)
    centre = 288 // output_stride
    impulse = torch.zeros(1, 320, 1, 2 * centre + 1)
    impulse[..., centre] = 1
    reached = []
    with torch.no_grad():
        for branch in network.aspp.convs[1:4]:
            positions = branch[0](impulse).abs().sum(dim=(0, 1, 2)).nonzero().ravel()
            reached.append(((positions - centre) * output_stride).tolist())
    assert reached == [[-96, 0, 96], [-192, 0, 192], [-288, 0, 288]]


def test_forward_applies_the_classifier_to_the_features():
    network = build(dropout=0.5)
    images = random_images(40, 32, n=2)
    with torch.no_grad():
        features = network.features(images)
        logits = network(images)
    weight, bias = network.classifier.weight[:, :, 0, 0], network.classifier.bias
    expected = torch.einsum("nd,bdhw->bnhw", weight, features) + bias[:, None, None]
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_dropout_is_active_in_training_only():
    network = build(dropout=0.5)
    images = random_images(32, 32, n=2)
    with torch.no_grad():
        assert torch.equal(network(images), network(images))
        network.dropout.train()
        assert not torch.equal(network(images), network(images))


def test_images_are_normalised_as_in_torchvision(network):
    stem_inputs = []
    handle = network.stem.register_forward_hook(lambda _, inputs, __: stem_inputs.append(inputs[0]))
    image = random_images(8, 13)
    with torch.no_grad():
        network.features(image)
    handle.remove()
    normalise = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    torch.testing.assert_close(stem_inputs[0][..., :8, :13], normalise(image.float() / 255))
    assert (
        stem_inputs[0].shape == (1, 3, 16, 16)
        and not stem_inputs[0][..., 8:, :].any()
        and not stem_inputs[0][..., 13:].any()
    )


def test_features_do_not_depend_on_the_batch(network):
    images = random_images(32, 40, n=3)
    with torch.no_grad():
        together = network.features(images)
        for image, features in zip(images, together, strict=True):
            torch.testing.assert_close(network.features(image[None])[0], features, rtol=1e-4, atol=1e-5)


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_separable_changes_the_decoder_only():
    separable, ordinary = (build(separable=choice, device="meta") for choice in (True, False))
    assert n_parameters(separable.decoder) < n_parameters(ordinary.decoder) / 6
    rest = n_parameters(separable) - n_parameters(separable.decoder)
    assert rest == n_parameters(ordinary) - n_parameters(ordinary.decoder)
    # The decoder has 3x3 convolutions 304 -> 256 -> 256, each with two parameters per channel of batch normalisation.
    assert n_parameters(ordinary.decoder) == 9 * 256 * (304 + 256) + 2 * 2 * 256
