import pytest

from tests.support import train_section
from zeroshot.base import params, strict_yaml


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


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("!!int foo", "`foo` is not a value of type int"),
        ("!!timestamp foo", "`foo` is not a value of type timestamp"),
        ("2001-99-99", "`2001-99-99` is not a value of type timestamp"),
        ("{2001-01-01: 1}", "key `2001-01-01` is not text"),
    ],
)
def test_value_that_is_not_of_its_type_is_named_with_its_line(tmp_path, value, fault):
    path = tmp_path / "params.yaml"
    path.write_text(f"train:\n  lr: {value}\n")
    with pytest.raises(params.ParamsError) as caught:
        params.read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: cannot be read as YAML: {fault}\n") and ", line 2, column " in text


def test_deeply_nested_file_is_refused(tmp_path):
    (tmp_path / "params.yaml").write_text(f"train: {'{a: ' * 1000 + '}' * 1000}\n")
    with pytest.raises(params.ParamsError, match="params.yaml: cannot be read as YAML: too many brackets"):
        params.read(tmp_path / "params.yaml")


def laughs(levels, merge):
    """Return a document of a few lines whose last value has 10 ** levels values with all aliases written out."""
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, levels + 1):
        aliases = f"[{', '.join([f'*a{level - 1}'] * 10)}]"
        lines.append(f"a{level}: &a{level} {'{<<: ' + aliases + '}' if merge else aliases}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "content", [laughs(12, merge=False), laughs(12, merge=True), "a: &a [*a]", "? &a {b: *a}\n: 1"]
)
def test_aliases_that_stand_for_too_much_are_refused(tmp_path, content):
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(params.ParamsError, match="with its aliases written out it has more than 100,000 values"):
        params.read(tmp_path / "params.yaml")


def test_limit_counts_aliases_as_often_as_they_are_used(tmp_path, monkeypatch):
    path = tmp_path / "params.yaml"
    path.write_text("a: &a [1, 2]\nb: [*a, *a]\n")
    # The document, two keys, the list of a (3 nodes) and that of b (1 + 2 * 3 nodes).
    monkeypatch.setattr(strict_yaml, "MAX_NODES", 13)
    assert params.read(path) == {"a": [1, 2], "b": [[1, 2], [1, 2]]}
    monkeypatch.setattr(strict_yaml, "MAX_NODES", 12)
    with pytest.raises(params.ParamsError, match="more than 12 values"):
        params.read(path)
