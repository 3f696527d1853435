import csv
import dataclasses

import numpy as np
import PIL.Image
import pytest
import torch
import yaml

from stages.szn import train_embedding
from tests.support import blocks
from tests.support import small_vgg as small
from zeroshot.base import checkpoints, command_line
from zeroshot.datasets import splits
from zeroshot.images import image_files
from zeroshot.networks import backbone
from zeroshot.szn import network as szn_network
from zeroshot.words import class_embeddings

small_vgg = small.small_vgg
pytestmark = pytest.mark.usefixtures("small_vgg")

NETWORK = {
    "encoder": "vgg16_fcn32s",
    "weights": "data/pretrained/none",
    "pretraining": "none",
    "freeze": "nothing",
    "loss": "cosine",
    "optimizer": "adam",
    "lr": 0.002,
    "bias_lr_multiplier": 2.0,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "epochs": 2,
    "batch_size": 1,
    "seed": 0,
    "augmentation": None,
    "dropout": 0.0,
    "loss_at": "image",
    "repeat_threshold": 0.0,
    "output_stride": 16,
    "separable": True,
    "precision": "float32",
}
OUTS = ("models/szn/network.pt", "metrics/szn/curve.csv")


def make(folder, **changes):
    """Write all inputs of the stage to `folder`, with one image of another size, and return it."""
    blocks.make(folder)
    PIL.Image.new("RGB", (53, 31), (90, 20, 0)).save(folder / "data/blocks/JPEGImages/b.png")
    image_files.write_mask(folder / "data/masks/train/b.png", np.full((31, 53), 3, np.uint16))
    blocks.write_training(folder)
    vectors = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    class_embeddings.write(
        folder / "data/vectors.h5", class_embeddings.ClassEmbeddings(blocks.CLASSES, vectors), {"made_by": "a test"}
    )
    (folder / "szn").mkdir()
    (folder / "szn/params.yaml").write_text(yaml.safe_dump({"network": {**NETWORK, **changes}}))
    return folder


def run(folder, target="embedding", embeddings=True):
    arguments = {
        "--data-root": "data/blocks",
        "--training-path": "data/training.json",
        "--masks-dir": "data/masks/train",
        "--weights-path": "data/pretrained/none",
        **({"--embeddings-path": "data/vectors.h5"} if embeddings else {}),
        "--network-path": OUTS[0],
        "--curve-path": OUTS[1],
        "--target": target,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        command_line.run(train_embedding.main, [word for pair in arguments.items() for word in pair])


def refusal(folder, **arguments):
    with pytest.raises(SystemExit) as caught:
        run(folder, **arguments)
    assert not any((folder / name).exists() for name in OUTS)
    return str(caught.value)


def losses(folder):
    with open(folder / OUTS[1], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(len(rows))]
    assert {float(row["lr"]) for row in rows} == {NETWORK["lr"]}
    return [float(row["loss"]) for row in rows]


def outputs(folder):
    return {name: (folder / name).read_bytes() for name in OUTS}


def read(folder):
    return checkpoints.load(folder / OUTS[0], szn_network.Checkpoint)


@pytest.mark.parametrize("loss", ["cosine", "mse"])
def test_whole_images_of_any_size_lower_the_loss(tmp_path, loss):
    folder = make(tmp_path / "a", loss=loss, epochs=8)
    run(folder)
    by_epoch = losses(folder)
    assert by_epoch[-1] < 0.9 * by_epoch[0]


def test_the_checkpoint_has_what_dump_and_predict_need(tmp_path):
    folder = make(tmp_path / "a")
    run(folder)
    checkpoint = read(folder)
    assert checkpoint["seen"] == list(blocks.SEEN) and checkpoint["side"] == 40
    assert checkpoint["names"] == [blocks.CLASSES[label] for label in blocks.SEEN]
    assert (checkpoint["target"], checkpoint["lr_key"], checkpoint["config"]) == ("embedding", "network.lr", NETWORK)
    network = szn_network.load(checkpoint)
    assert network.classifier.out_channels == 6 and not network.training
    features = backbone.extractor(network, torch.device("cpu"), "float32")(torch.zeros(1, 3, 36, 40, dtype=torch.uint8))
    assert features.shape == (1, small.FEATURE_DIM, 2, 2)


def test_the_softmax_network_has_an_output_for_each_class_of_train_seen(tmp_path):
    folder = make(tmp_path / "a")
    run(folder, "softmax", embeddings=False)
    checkpoint = read(folder)
    assert checkpoint["target"] == "softmax"
    assert szn_network.load(checkpoint).classifier.out_channels == len(blocks.SEEN)
    first, last = losses(folder)
    assert last < first


class Killed(BaseException):
    """Simulates that the process is killed."""


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_killed_training_resumes_to_the_same_bytes(tmp_path, monkeypatch, optimizer):
    changes = {"optimizer": optimizer, "dropout": 0.5}
    whole, killed = make(tmp_path / "whole", **changes), make(tmp_path / "killed", **changes)
    run(whole)
    save = checkpoints.save

    def save_and_die(path, checkpoint):
        save(path, checkpoint)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", save_and_die)
        with pytest.raises(Killed):
            run(killed)
    assert not (killed / OUTS[0]).exists()
    run(killed)
    assert outputs(killed) == outputs(whole)
    assert not list(killed.glob("work/**/*.pt"))


def test_vectors_are_matched_by_name_and_other_classes_have_no_effect(tmp_path):
    first, second = make(tmp_path / "a"), make(tmp_path / "b")
    embeddings = class_embeddings.read(second / "data/vectors.h5")
    order, vectors = [3, 0, 4, 1, 2], embeddings.vectors.copy()
    # The vector of the unseen class.
    vectors[blocks.UNSEEN] = 7
    shuffled = class_embeddings.ClassEmbeddings(tuple(embeddings.names[row] for row in order), vectors[order])
    class_embeddings.write(second / "data/vectors.h5", shuffled, {})
    for folder in (first, second):
        run(folder)
    assert outputs(first) == outputs(second)


def test_encoders_of_the_main_pipeline_train_on_crops(tmp_path):
    folder = make(tmp_path / "a", encoder="resnet18", batch_size=3, augmentation=blocks.AUGMENTATION, epochs=1)
    run(folder)
    network = szn_network.load(read(folder))
    assert (network.stride, network.margin, network.classifier.out_channels) == (4, 0, 6)


def test_a_loss_that_is_not_finite_names_the_learning_rate(tmp_path):
    text = refusal(make(tmp_path / "a", lr=1e30, loss="mse"))
    assert text.startswith("train_embedding (embedding): the loss is ") and text.endswith("; lower network.lr")
    text = refusal(make(tmp_path / "b", lr=1e30, optimizer="sgd"), target="softmax")
    assert text.startswith("train_embedding (softmax): the loss is ") and text.endswith("; lower network.lr")


def test_vectors_that_cannot_be_learnt_are_refused(tmp_path):
    folder = make(tmp_path / "a")
    assert refusal(folder, embeddings=False) == "train_embedding: --target embedding needs --embeddings-path"
    embeddings = class_embeddings.read(folder / "data/vectors.h5")
    zero = embeddings.vectors * (np.arange(5) > 0)[:, None]
    class_embeddings.write(folder / "data/vectors.h5", dataclasses.replace(embeddings, vectors=zero), {})
    assert refusal(folder) == (
        "network.loss: is cosine, and the vectors of these classes are zero, which have no direction: background; "
        "set embeddings.background to vector or mean, or the loss to mse"
    )
    fewer = class_embeddings.ClassEmbeddings(embeddings.names[:3], embeddings.vectors[:3])
    class_embeddings.write(folder / "data/vectors.h5", fewer, {})
    assert refusal(folder) == (
        "data/vectors.h5: contains no vectors of sheep, gull; make it again with `dvc repro embed_classes`, that of "
        "SZN or ZSI with `dvc repro szn/dvc.yaml:embed` or `dvc repro zsi/dvc.yaml:embed`"
    )


def test_without_an_image_of_train_seen_alone_the_stage_says_so(tmp_path):
    folder = make(tmp_path / "a")
    training = splits.read_training(folder / "data/training.json")
    splits.write(folder / "data/training.json", dataclasses.replace(training, train=()))
    assert refusal(folder) == "the training list is empty; add images that show seen classes only"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "resnet18"}, "network.batch_size: resnet18 has batch normalisation, which needs 2 images or more"),
        (
            {"batch_size": 4},
            "network.augmentation: null gives whole images, which differ in size, so it needs batch_size: 1",
        ),
        ({"loss": "l1"}, "network.loss: "),
        (
            {"pretraining": "labels"},
            "network.pretraining: is labels, and network.weights, data/pretrained/none, selects",
        ),
    ],
)
def test_wrong_parameters_are_named(tmp_path, changes, message):
    assert message in refusal(make(tmp_path / "a", **changes))
