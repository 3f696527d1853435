import pytest
import yaml

from tests.support import train_section
from zeroshot.base import params
from zeroshot.networks import augmentation, backbone, semantic_head, weights
from zeroshot.szn import roles
from zeroshot.words import class_embeddings


def build(changes="", without=()):
    """Build a section from the YAML text GOOD, updated with the YAML text `changes`, minus the keys in `without`."""
    values = {**yaml.safe_load(train_section.GOOD), **(yaml.safe_load(changes) or {})}
    return params.build(
        {key: value for key, value in values.items() if key not in without}, train_section.Options, "train"
    )


def faults(changes="", without=()):
    with pytest.raises(params.ParamsError) as caught:
        build(changes, without)
    return str(caught.value).splitlines()


def test_valid_section_is_loaded(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"other": {"lr": "no number"}, "train": yaml.safe_load(train_section.GOOD)}))
    loaded = params.load(path, "train", train_section.Options)
    assert loaded == train_section.Options(
        0.01, 0.9, 0.0, 3, True, "toy", 0, train_section.Kernel("gaussian", (0.5, 1.0))
    )


@pytest.mark.parametrize("text", ["5e-05", "1e-3", "1E+2", "+2.5e1", ".5e1", "7.e-2"])
def test_yaml_12_exponents_are_read_as_numbers(text):
    options = build(f"lr: {text}\nkernel: {{kind: gaussian, bandwidths: [{text}, 1]}}")
    assert options.lr == options.kernel.bandwidths[0] == float(text)
    assert type(options.lr) is float


def test_pyyaml_reads_yaml_12_exponents_as_text():
    assert yaml.safe_load("lr: 5e-05") == {"lr": "5e-05"}


def test_integers_are_valid_floats_but_floats_are_not_valid_integers():
    options = build("lr: 1\nkernel: {kind: gaussian, bandwidths: [1, 2]}")
    assert [type(value) for value in (options.lr, *options.kernel.bandwidths)] == [float, float, float]
    assert faults("epochs: 3.5")[1].startswith("  train.epochs: ")


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("lr: '0.1'", "'0.1'"),
        ("lr: fast", "'fast'"),
        ("lr: true", "True"),
        ("lr: 1e999", "inf"),
        ("lr: .nan", "nan"),
        ("lr: null", "None"),
        ("lr: 0", "0"),
        ("momentum: 1.5", "1.5"),
        ("weight_decay: -1e-4", "'-1e-4'"),
        ("epochs: true", "True"),
        ("epochs: '3'", "'3'"),
        ("epochs: 0", "0"),
        ("flip: 1", "1"),
        ("flip: 'yes'", "'yes'"),
        ("name: 3", "3"),
        ("seed: -1", "-1"),
        ("seed: 2147483648", "2147483648"),
    ],
)
def test_message_names_the_key_and_shows_the_wrong_value(change, value):
    lines = faults(change)
    assert lines[0] == "params: 1 error" and len(lines) == 2
    assert lines[1].startswith(f"  train.{change.split(':')[0]}: ")
    assert lines[1].endswith(f" (found {value})")


@pytest.mark.parametrize("text", ["'[0.5, 1.0]'", "'0.5'", "0.5", "{a: 1}"])
def test_other_types_are_not_converted_to_lists(text):
    lines = faults(f"kernel: {{kind: gaussian, bandwidths: {text}}}")
    assert len(lines) == 2 and lines[1].startswith("  train.kernel.bandwidths: ")


def test_wrong_list_item_is_named_by_its_index():
    lines = faults("kernel: {kind: gaussian, bandwidths: [1, 0, two]}")
    assert [line.split(": ")[0] for line in lines[1:]] == ["  train.kernel.bandwidths.1", "  train.kernel.bandwidths.2"]


def test_message_of_a_typo_suggests_the_nearest_key():
    assert faults("momentun: 0.9") == [
        "params: 1 error",
        "  train.momentun: unknown key; did you mean `train.momentum`?",
    ]


def test_one_line_says_that_a_key_is_misspelt_and_the_right_one_missing():
    assert faults("{momentun: 0.9, momentom: 0.9}", without=["momentum", "seed"]) == [
        "params: 3 errors",
        "  train.seed: missing",
        "  train.momentun: unknown key; did you mean `train.momentum`, which is missing?",
        "  train.momentom: unknown key; did you mean `train.momentum`, which is missing?",
    ]


def test_message_of_a_dissimilar_unknown_key_lists_all_keys():
    assert faults("zzzzzz: 1")[1] == (
        "  train.zzzzzz: unknown key; known keys: lr, momentum, weight_decay, epochs, flip, name, seed, kernel"
    )


def test_message_of_a_nested_typo_suggests_a_key_of_the_nested_section():
    assert faults("kernel: {kind: gaussian, bandwidths: [1], bandwidth: [2]}")[1] == (
        "  train.kernel.bandwidth: unknown key; did you mean `train.kernel.bandwidths`?"
    )
    # `lr` is a key of the outer section, not of `kernel`.
    assert faults("kernel: {kind: gaussian, bandwidths: [1], lr: 1}")[1] == (
        "  train.kernel.lr: unknown key; known keys: kind, bandwidths"
    )


def test_missing_keys_are_named_at_every_level():
    assert faults("kernel: {kind: gaussian}", without=["seed"]) == [
        "params: 2 errors",
        "  train.seed: missing",
        "  train.kernel.bandwidths: missing",
    ]


def test_nested_section_must_be_a_mapping():
    assert faults("kernel: gaussian")[1].startswith("  train.kernel: ")
    assert faults("kernel: gaussian")[1].endswith("(found 'gaussian')")


def test_one_message_lists_all_faults():
    lines = faults("{lr: -1, epoch: 5, flip: 1, kernel: {kind: cosine, bandwidths: [0], sort: 1}}", without=["name"])
    assert lines[0] == "params: 7 errors"
    assert sorted(line.split(": ")[0].strip() for line in lines[1:]) == [
        "train.epoch",
        "train.flip",
        "train.kernel.bandwidths.0",
        "train.kernel.kind",
        "train.kernel.sort",
        "train.lr",
        "train.name",
    ]


def test_faults_of_backbone_augmentation_have_full_key_names():
    values = params.to_dict(
        backbone.Params(
            encoder="resnet18",
            output_stride=16,
            separable=True,
            dropout=0.1,
            weights="data/pretrained/none",
            pretraining="none",
            freeze="nothing",
            loss_at="image",
            epochs=1,
            batch_size=2,
            lr=0.1,
            head_lr_multiplier=1.0,
            momentum=0.9,
            weight_decay=0.0,
            repeat_threshold=0.0,
            semantic=semantic_head.Params(vectors="none", weight=1.0, scale=16.0),
            augmentation=augmentation.Params(crop=8, scales=(0.5, 2.0), flip=0.5, blur=0.0),
            precision="float32",
            seed=0,
        )
    )
    values["augmentation"] = {"crop": 0, "scales": [0.5], "flop": 0.5, "blur": 0.0}
    with pytest.raises(params.ParamsError) as caught:
        params.build(values, backbone.Params, "backbone")
    text = str(caught.value)
    assert text.startswith("params: 3 errors\n")
    assert "\n  backbone.augmentation.crop: Input should be greater than or equal to 1 (found 0)" in text
    assert "\n  backbone.augmentation.scales.1: missing" in text
    assert (
        "\n  backbone.augmentation.flop: unknown key; did you mean `backbone.augmentation.flip`, which is missing?"
        in text
    )


@params.section
class Nullable:
    """A section with unions."""

    kernel: train_section.Kernel | None
    aliases: dict[str, class_embeddings.Alias]
    classes: roles.NamesOrNumber | None
    encoder: weights.Encoder


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"kernel": {"kind": "gaussian", "bandwidth": [1.0]}},
            "s.kernel.bandwidth: unknown key; did you mean `s.kernel.bandwidths`",
        ),
        ({"kernel": {"kind": "gaussian"}}, "s.kernel.bandwidths: missing"),
        (
            {"kernel": {"kind": "gaussian", "bandwidths": ["x"]}},
            "s.kernel.bandwidths.0: Input should be a valid number",
        ),
        ({"aliases": {"cow": 5}}, "s.aliases.cow: Input should be a valid string (found 5)"),
        ({"aliases": {"cow": ["ox", 5]}}, "s.aliases.cow.1: Input should be a valid string (found 5)"),
        ({"aliases": {"cow": [5]}}, "s.aliases.cow.0: Input should be a valid string (found 5)"),
        ({"aliases": {"cow": []}}, "s.aliases.cow: Tuple should have at least 1 item"),
        ({"aliases": {5: 7}}, "s.aliases.5: Input should be a valid string (found 7)"),
        ({False: 1}, "s.false: unknown key; did you mean `s.aliases`?"),
        ({"classes": [1]}, "s.classes.0: Input should be a valid string (found 1)"),
        ({"classes": -1}, "s.classes: Input should be greater than or equal to 0 (found -1)"),
        ({"encoder": "resnet19"}, "s.encoder: Input should be 'resnet18', "),
    ],
)
def test_a_fault_in_one_of_several_kinds_of_value_names_the_key_and_nothing_else(changes, line):
    values = {"kernel": None, "aliases": {}, "classes": None, "encoder": "resnet18"}
    params.build(values, Nullable, "s")
    with pytest.raises(params.ParamsError) as caught:
        params.build(values | changes, Nullable, "s")
    first, *lines = str(caught.value).splitlines()
    assert first == "params: 1 error" and lines[0].startswith(f"  {line}") and len(lines) == 1


def test_sections_are_unchanged_by_conversion_to_plain_values_and_back():
    options = build("lr: 5e-05")
    values = params.to_dict(options)
    assert values["kernel"] == {"kind": "gaussian", "bandwidths": [0.5, 1.0]} and values["lr"] == 5e-05
    assert params.build(values, train_section.Options, "train") == options
    assert params.build(yaml.safe_load(yaml.safe_dump(values)), train_section.Options, "train") == options


def test_sections_are_immutable():
    with pytest.raises(AttributeError):
        build().lr = 1.0
