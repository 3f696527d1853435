import pytest
import torch

from zeroshot.zs3net import pixel_classifier


def model(seen_bias=0.0):
    random = torch.Generator().manual_seed(0)
    return pixel_classifier.PixelClassifier(
        weight=torch.randn(3, 4, generator=random),
        bias=torch.randn(3, generator=random),
        labels=torch.tensor([0, 7, 2]),
        unseen=torch.tensor([False, False, True]),
        seen_bias=seen_bias,
    )


def test_logits_are_linear_and_the_bias_is_taken_off_seen_ones_only():
    features = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    plain = model()
    expected = torch.einsum("md,nd->mn", features, plain.weight) + plain.bias
    torch.testing.assert_close(plain.logits(features), expected)
    expected[:, :2] -= 1.5
    torch.testing.assert_close(model(1.5).logits(features), expected)


def test_saved_and_loaded_it_is_the_same_with_its_facts(tmp_path):
    path = tmp_path / "models/one.pt"
    pixel_classifier.save(path, model(2.5), classes=["a", "b"], config={"lr": 0.1})
    loaded, facts = pixel_classifier.load(path)
    assert facts == {"classes": ["a", "b"], "config": {"lr": 0.1}}
    assert loaded.seen_bias == 2.5
    for name in ("weight", "bias", "labels", "unseen"):
        value = getattr(loaded, name)
        assert torch.equal(value, getattr(model(), name)) and value.dtype == getattr(model(), name).dtype


def test_saving_twice_gives_the_same_bytes(tmp_path):
    for name in ("one.pt", "two.pt"):
        pixel_classifier.save(tmp_path / name, model(), classes=["a"])
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()


def test_to_a_device_keeps_everything():
    moved = model(2.5).to(torch.device("meta"))
    assert moved.seen_bias == 2.5
    assert all(getattr(moved, name).device.type == "meta" for name in ("weight", "bias", "labels", "unseen"))


def test_is_frozen():
    with pytest.raises(AttributeError):
        model().seen_bias = 1.0
