"""Initial weights of the encoders of the detector."""

import pytest
import torch
import torchvision

from tests.support import disks_and_squares
from zeroshot.base import errors, params
from zeroshot.networks import weights
from zeroshot.zsi import encoders

PYRAMID = {"anchors": {"sizes": [8, 16, 32, 64, 128]}}


def options(encoder, **changes):
    return disks_and_squares.options(encoder=encoder, **({} if encoder == "small_cnn" else PYRAMID), **changes)


@pytest.mark.parametrize("encoder", ["mobilenet_v3_large", "resnet50"])
def test_weights_of_torchvisions_classifier_are_loaded(encoder, tmp_path):
    torch.manual_seed(1)
    classifier = torchvision.models.get_model(encoder)
    torch.save(classifier.state_dict(), tmp_path / "weights.pth")
    chosen = options(encoder, pretraining="labels")
    built = encoders.build(chosen)
    encoders.load_weights(built, chosen, tmp_path / "weights.pth", "detector")
    prefix = "features." if encoder.startswith("mobilenet") else ""
    state, expected = built.body.state_dict(), classifier.state_dict()
    assert len(state) > 100 and all(torch.equal(state[name], expected[prefix + name]) for name in state)
    # Loaded statistics of batch normalisation stay as they are.
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in built.modules())


def test_weights_of_another_encoder_are_refused(tmp_path):
    torch.save(torchvision.models.mobilenet_v2().state_dict(), tmp_path / "weights.pth")
    chosen = options("mobilenet_v3_large", pretraining="labels")
    with pytest.raises(
        weights.WeightsError, match=r"looks like mobilenet_v2, but detector\.encoder is mobilenet_v3_large"
    ):
        encoders.load_weights(encoders.build(chosen), chosen, tmp_path / "weights.pth", "detector")


def test_an_encoder_without_weights_has_ordinary_batch_normalisation_and_needs_the_file_none(tmp_path):
    chosen = options("mobilenet_v2")
    built = encoders.build(chosen)
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in built.modules())
    for name in ("none", "IMAGENET1K_V1"):
        (tmp_path / name).write_bytes(b"")
    encoders.load_weights(built, chosen, tmp_path / "none", "detector")
    with pytest.raises(errors.UserError, match=r"detector\.pretraining: is none"):
        encoders.load_weights(built, chosen, tmp_path / "IMAGENET1K_V1", "detector")


def test_the_small_encoder_has_no_published_weights(tmp_path):
    (tmp_path / "IMAGENET1K_V1").write_bytes(b"")
    chosen = options("small_cnn", pretraining="labels")
    with pytest.raises(errors.UserError, match=r"small_cnn has no published weights; set detector\.weights"):
        encoders.load_weights(encoders.build(chosen), chosen, tmp_path / "IMAGENET1K_V1", "detector")


def test_the_small_encoder_treats_images_one_by_one():
    built = encoders.build(options("small_cnn")).train()
    images = torch.randn(2, 3, 20, 33)
    together, alone = built(images)["0"], built(images[:1])["0"]
    assert together.shape == (2, 16, 5, 9)
    torch.testing.assert_close(together[:1], alone)


def test_the_number_of_channels_is_even():
    with pytest.raises(params.ParamsError, match=r"detector\.map_dim"):
        options("small_cnn", map_dim=7)
