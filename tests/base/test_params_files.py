import pytest

from tests.support import train_section
from zeroshot.base import params


@pytest.mark.parametrize("content", ["{}", "other: {lr: 1}\n", "train: 3\n", "train:\n", "train: [lr]\n"])
def test_missing_section_is_named(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(params.ParamsError) as caught:
        params.load(path, "train", train_section.Options)
    assert str(caught.value) == f"{path}: needs a section `train:` with keys under it"


@pytest.mark.parametrize("content", ["", "- 1\n", "train\n", "3\n"])
def test_file_without_sections_is_refused(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(params.ParamsError) as caught:
        params.load(path, "train", train_section.Options)
    assert str(caught.value) == f"{path}: needs sections with keys under them"


@pytest.mark.parametrize(
    ("content", "key", "line"),
    [
        ("train: {lr: 1}\nother: {}\ntrain: {lr: 2}\n", "train", 1),
        ("other:\n  a: 1\ntrain:\n  lr: 1\n  seed: 0\n  lr: 1\n", "lr", 4),
        ("train:\n  lr: 1\n  kernel: {kind: gaussian, 'kind': laplace}\n", "kind", 3),
        ("train: {lr: 1}\nother:\n- {a: 1, b: 2, a: 3}\n", "a", 3),
    ],
)
def test_duplicate_key_is_refused_with_its_line(tmp_path, content, key, line):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    for read in (params.read, lambda path: params.load(path, "train", train_section.Options)):
        with pytest.raises(params.ParamsError) as caught:
            read(path)
        text = str(caught.value)
        assert text.startswith(f"{path}: cannot be read as YAML: key `{key}` is given twice\n")
        assert f", line {line}, column " in text


def test_equal_keys_in_different_mappings_and_overridden_merge_keys_are_valid(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: &a {lr: 1, seed: 0}\nb: {<<: *a, lr: 2}\nc: [{lr: 3}, {lr: 4}]\n")
    assert params.read(path) == {"a": {"lr": 1, "seed": 0}, "b": {"lr": 2, "seed": 0}, "c": [{"lr": 3}, {"lr": 4}]}


@pytest.mark.parametrize("content", [None, "train: {lr: [", "train: !!python/object/apply:os.getcwd []\n"])
def test_unreadable_file_is_named(tmp_path, content):
    path = tmp_path / "params.yaml"
    if content:
        path.write_text(content)
    with pytest.raises(params.ParamsError) as caught:
        params.load(path, "train", train_section.Options)
    assert str(caught.value).startswith(f"{path}: cannot be read as YAML: ")


def test_messages_contain_the_file_name(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("train: {}\n")
    with pytest.raises(params.ParamsError) as caught:
        params.load(path, "train", train_section.Options)
    assert str(caught.value).startswith(f"{path}: 8 errors\n  train.lr: missing\n")
