import dataclasses

import numpy as np
import pytest
import torch

from tests.support import blocks, resized_logits
from zeroshot.base import checkpoints, user_files
from zeroshot.datasets import splits
from zeroshot.images import grids
from zeroshot.networks import backbone
from zeroshot.pixel_classifiers import labelling, pixel_classifier


def model(seen_bias=0.0):
    random = torch.Generator().manual_seed(0)
    return pixel_classifier.PixelClassifier(
        weight=torch.randn(3, 4, generator=random),
        bias=torch.randn(3, generator=random),
        labels=torch.tensor([0, 7, 2]),
        unseen=torch.tensor([False, False, True]),
        seen_bias=seen_bias,
    )


def test_logits_are_linear_and_only_seen_ones_have_the_bias_subtracted():
    features = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    plain = model()
    expected = torch.einsum("md,nd->mn", features, plain.weight) + plain.bias
    torch.testing.assert_close(plain.logits(features), expected)
    expected[:, :2] -= 1.5
    torch.testing.assert_close(model(1.5).logits(features), expected)


def test_classifier_of_the_last_layer_gives_the_logits_of_the_network():
    network = backbone.new_network(blocks.options(dropout=0.5), len(blocks.SEEN)).eval()
    layer = pixel_classifier.of_layer(network.classifier.weight, network.classifier.bias, blocks.split().seen)
    assert layer.labels.tolist() == list(blocks.SEEN) and not layer.unseen.any() and layer.seen_bias == 0
    images = torch.randint(0, 256, (1, 3, 24, 20), dtype=torch.uint8)
    with torch.no_grad():
        features = network.features(images)[0].flatten(1).T
        logits = network(images)[0].flatten(1).T
    torch.testing.assert_close(layer.logits(features), logits, rtol=1e-5, atol=1e-5)


def test_saving_and_loading_preserves_classifier_and_metadata(tmp_path):
    path = tmp_path / "models/one.pt"
    pixel_classifier.save(path, model(2.5), classes=["a", "b"], config={"lr": 0.1})
    loaded, metadata = pixel_classifier.load(path)
    assert metadata == {"classes": ["a", "b"], "config": {"lr": 0.1}}
    assert loaded.seen_bias == 2.5
    for name in ("weight", "bias", "labels", "unseen"):
        value = getattr(loaded, name)
        assert torch.equal(value, getattr(model(), name)) and value.dtype == getattr(model(), name).dtype


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"weight": torch.zeros(2, 4)}, "weight"),
        ({"weight": torch.zeros(3, 4, 1, 1)}, "weight"),
        ({"weight": torch.zeros(3, 4, dtype=torch.float16), "bias": torch.zeros(4)}, "weight, bias"),
        ({"labels": torch.tensor([0.0, 7.0, 2.0])}, "labels"),
        ({"labels": torch.tensor(7)}, "weight, bias, labels, unseen"),
        ({"unseen": torch.tensor([0, 0, 1])}, "unseen"),
    ],
    ids=str,
)
def test_tensors_that_do_not_fit_each_other_are_named(tmp_path, changes, fault):
    pixel_classifier.save(tmp_path / "x.pt", dataclasses.replace(model(), **changes))
    with pytest.raises(
        checkpoints.CheckpointError, match=rf"x\.pt: is not the .* wrong shapes or types: {fault}; `dvc"
    ):
        pixel_classifier.load(tmp_path / "x.pt")


def split(n_classes=8, unseen=(2,)):
    seen = tuple(label for label in range(n_classes) if label not in unseen)
    return splits.Split(tuple("abcdefgh"[:n_classes]), seen, unseen, "images", (), (), ())


@pytest.mark.parametrize(
    ("fitting", "dim", "metadata", "fault"),
    [
        (split(), 5, {}, "it reads features of length 4, and the cached ones have 5"),
        (split(7), 4, {}, "it has the label ids 0 to 7, and the split has 7 classes"),
        (split(), 4, {"classes": list("abcdefgz")}, "the names of its classes are not those of the split"),
        (split(unseen=(3,)), 4, {}, "it has as unseen what the split has as seen: c"),
        (split(unseen=(2, 7)), 4, {}, "it has as seen what the split has as unseen: h"),
    ],
)
def test_a_classifier_of_another_run_is_refused(tmp_path, fitting, dim, metadata, fault):
    path = tmp_path / "x.pt"
    pixel_classifier.save(path, model(), **metadata)
    pixel_classifier.load(path)
    with pytest.raises(checkpoints.CheckpointError) as caught:
        pixel_classifier.load(path, fitting, dim)
    assert str(caught.value) == f"{path}: is a classifier of another run: {fault}; {user_files.REMEDY}"


def test_a_classifier_of_the_same_run_is_accepted(tmp_path):
    pixel_classifier.save(tmp_path / "x.pt", model(), classes=list("abcdefgh"))
    assert pixel_classifier.load(tmp_path / "x.pt", split(), 4)[0].labels.tolist() == [0, 7, 2]


def test_saving_twice_gives_the_same_bytes(tmp_path):
    for name in ("one.pt", "two.pt"):
        pixel_classifier.save(tmp_path / name, model(), classes=["a"])
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()


def test_moving_to_a_device_preserves_all_fields():
    moved = model(2.5).to(torch.device("meta"))
    assert moved.seen_bias == 2.5
    assert all(getattr(moved, name).device.type == "meta" for name in ("weight", "bias", "labels", "unseen"))


def test_classifier_is_immutable():
    with pytest.raises(AttributeError):
        model().seen_bias = 1.0


@pytest.mark.parametrize("image", [(12, 16), (11, 13), (9, 16)])
@pytest.mark.parametrize("size", [None, (3, 4), (25, 31)])
@pytest.mark.parametrize("seen_bias", [0.0, 0.7])
def test_label_maps_equal_those_of_independently_resized_logits(image, size, seen_bias):
    classifier, cells = resized_logits.classifier(seen_bias), resized_logits.features(3, 4)
    label_maps = labelling.predict_maps(classifier, cells, size or image, image, stride=4)
    size = size or image
    assert set(label_maps) == {"generalised", "without_bias", "vanilla"}
    assert all(labels.dtype == np.int64 and labels.shape == size for labels in label_maps.values())
    np.testing.assert_array_equal(label_maps["generalised"], resized_logits.label_map(classifier, cells, image, size))
    unbiased = resized_logits.classifier()
    np.testing.assert_array_equal(label_maps["without_bias"], resized_logits.label_map(unbiased, cells, image, size))
    assert (label_maps["vanilla"] == 2).all()
    assert len(np.unique(label_maps["generalised"])) > 1


@pytest.mark.parametrize("size", [(30, 36), (60, 40)])
def test_features_of_another_image_size_are_refused(size):
    with pytest.raises(ValueError, match=f"10 x 10 cells of 4 pixels is not that of an image of {size[0]} x {size[1]}"):
        labelling.predict_maps(many_classes(5), np.zeros((10, 10, 4), np.float16), size, stride=4)


def many_classes(n_classes, dim=4):
    """Return a classifier with small whole numbers, so that sums are exact in every order, and many logits are equal."""
    random = torch.Generator().manual_seed(0)
    return pixel_classifier.PixelClassifier(
        weight=torch.randint(-3, 4, (n_classes, dim), generator=random).float(),
        bias=torch.randint(-3, 4, (n_classes,), generator=random).float(),
        labels=torch.randperm(n_classes, generator=random),
        unseen=torch.arange(n_classes) % 4 == 1,
        seen_bias=1.5,
    )


@pytest.mark.parametrize("image", [(1, 1), (4, 9), (37, 53), (50, 3), (23, 100)])
@pytest.mark.parametrize("size", [None, (31, 22)])
@pytest.mark.parametrize("values", [1, 3000, 20_000])
def test_strips_give_the_labels_of_the_whole_image(monkeypatch, image, size, values):
    cells = np.random.default_rng(0).integers(-3, 4, (-(-image[0] // 4), -(-image[1] // 4), 4)).astype(np.float16)
    classifier = many_classes(11)
    whole = labelling.predict_maps(classifier, cells, size or image, image, stride=4)
    monkeypatch.setattr(grids, "STRIP_VALUES", values)
    strips = labelling.predict_maps(classifier, cells, size or image, image, stride=4)
    assert list(strips) == list(whole) == ["generalised", "without_bias", "vanilla"]
    for name in whole:
        np.testing.assert_array_equal(strips[name], whole[name])


class LargestTensor(torch.utils._python_dispatch.TorchDispatchMode):
    """Records the number of values of the largest tensor that any operation returns."""

    values = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = [item for item in torch.utils._pytree.tree_leaves(result) if isinstance(item, torch.Tensor)]
        self.values = max([self.values, *(tensor.numel() for tensor in tensors)])
        return result


@pytest.mark.parametrize("resized", [False, True])
def test_memory_for_logits_is_bounded_for_more_rows_and_classes(monkeypatch, resized):
    monkeypatch.setattr(grids, "STRIP_VALUES", 50_000)
    peaks = {}
    for height, n_classes in ((100, 10), (400, 10), (400, 40)):
        # Features of one value, so that the map itself is small.
        cells = np.ones((height // 4, 10, 1), np.float16)
        size = (90, 30) if resized else (height, 40)
        with LargestTensor() as largest:
            labelling.predict_maps(many_classes(n_classes, 1), cells, size, (height, 40), stride=4)
        peaks[height, n_classes] = largest.values
    # The whole images have 40,000, 160,000 and 640,000 values.
    assert 0 < max(peaks.values()) <= 50_000, peaks


def test_there_is_no_vanilla_protocol_without_unseen_classes():
    classifier = dataclasses.replace(resized_logits.classifier(0.7), unseen=torch.zeros(3, dtype=torch.bool))
    label_maps = labelling.predict_maps(classifier, resized_logits.features(3, 4), (12, 16), stride=4)
    expected = resized_logits.label_map(classifier, resized_logits.features(3, 4), (12, 16))
    assert set(label_maps) == {"generalised", "without_bias"}
    for labels in label_maps.values():
        np.testing.assert_array_equal(labels, expected)
