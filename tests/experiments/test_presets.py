"""params.yaml and presets/: complete, valid, with comments, and formatted as DVC writes parameter files."""

import dataclasses
import difflib
import pathlib
import types
import typing

import pytest
import yaml
from dvc.utils import hydra, serialize

from tests.support import dag
from zeroshot.base import errors, params
from zeroshot.experiments import presets, schema
from zeroshot.experiments.comparison import overrides

FOLDER = dag.ROOT / "presets"
DEFAULT = (FOLDER / "toy.yaml").read_text()
NAMES = presets.names(FOLDER)
OVERLAYS = [name for name in NAMES if name != presets.DEFAULT]
every_preset = pytest.mark.parametrize("name", NAMES)
every_overlay = pytest.mark.parametrize("name", OVERLAYS)

SMALL = """\
# All.

# Of a.
a:
  # One.
  one: 1
  # Some.
  some:
  - 1
  - 2
  two: 2.0  # Two.

  # Rarely changed.

  # Names,
  # in two lines.
  names: {}
  # Of the inner one.
  inner:
    # Nothing.
    nothing:
# Of b.
b:
  # Three.
  three: 3
"""


def keys(cls: type, prefix: str) -> list[str]:
    """Return the keys of a section and its sub-sections, in the order of the fields."""
    result = [prefix]
    if isinstance(cls, types.UnionType):
        # A sub-section, or null.
        cls = next((choice for choice in typing.get_args(cls) if dataclasses.is_dataclass(choice)), cls)
    for name, kind in typing.get_type_hints(cls).items() if dataclasses.is_dataclass(cls) else ():
        result += keys(kind, f"{prefix}.{name}")
    return result


def leaves(values: dict, prefix: str = "") -> dict:
    """Return the values of a document by dotted key."""
    result = {}
    for key, value in values.items():
        result |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return result


def test_names_of_the_presets():
    assert {"toy", "voc", "voc_small", "context"} <= set(NAMES)


def test_params_yaml_is_the_default():
    assert (dag.ROOT / "params.yaml").read_text() == DEFAULT


@every_preset
def test_every_section_is_valid(name):
    document = presets.read(name, FOLDER)
    assert sorted(document) == sorted(dag.sections())
    for section, cls in dag.sections().items():
        assert isinstance(params.build(document[section], cls, section), cls)


@every_preset
def test_every_key_has_a_comment_and_lines_are_short(name):
    text = presets.text(name, FOLDER)
    expected = {key for section, cls in dag.sections().items() for key in keys(cls, section)}
    comments = presets.comments(text)
    assert comments.keys() == expected
    assert [line for line in text.splitlines() if len(line) > 120] == []
    # Comments with these words cannot be understood without their neighbours.
    assert [
        key for key, comment in comments.items() if comment.endswith("...") or comment.startswith(("As ", "... "))
    ] == []


def test_keys_are_in_the_order_of_the_dataclasses():
    document = yaml.safe_load(DEFAULT)
    for section, cls in dag.sections().items():
        assert list(leaves(document[section], f"{section}.")) == [
            key for key in keys(cls, section) if not any(other.startswith(f"{key}.") for other in keys(cls, section))
        ]


@every_overlay
def test_an_overlay_has_only_different_values_and_explains_them(name):
    text = (FOLDER / f"{name}.yaml").read_text()
    default = leaves(yaml.safe_load(DEFAULT))
    changed = leaves(yaml.safe_load(text))
    assert [key for key, value in changed.items() if overrides.same(value, default[key])] == []
    assert list(changed) == [key for key in default if key in changed]
    assert changed.keys() <= presets.comments(text).keys()
    assert text.startswith("# ")


@every_overlay
def test_a_merged_preset_has_the_overlay_over_the_default(name):
    overlay, merged = (FOLDER / f"{name}.yaml").read_text(), presets.text(name, FOLDER)
    default = leaves(yaml.safe_load(DEFAULT))
    assert leaves(yaml.safe_load(merged)) == default | leaves(yaml.safe_load(overlay))
    assert presets.comments(merged) == presets.comments(DEFAULT) | presets.comments(overlay)
    assert merged.count("# Rarely changed.") == DEFAULT.count("# Rarely changed.")


@every_preset
def test_paths_in_presets_are_relative(name):
    document = presets.read(name, FOLDER)
    given = [document["data"]["root"], document["embeddings"]["path"], document["backbone"]["weights"]]
    assert not [text for text in given if pathlib.PurePosixPath(text).is_absolute()]


@every_preset
def test_dvc_writes_a_preset_without_changes(name, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(presets.text(name, FOLDER))
    with serialize.modify_yaml(path):
        pass
    assert path.read_text() == presets.text(name, FOLDER)


@every_preset
@pytest.mark.parametrize("change", ["gmmn.lr=0.003", "data.n_unseen=10", "features.flip=true"])
def test_dvc_changes_one_line_for_one_key(name, change, tmp_path):
    """DVC removes comments between a list and the next key, so that key has its comment at the end of its line."""
    path = tmp_path / "params.yaml"
    path.write_text(presets.text(name, FOLDER))
    hydra.apply_overrides(path, [change])
    before, after = presets.text(name, FOLDER).splitlines(), path.read_text().splitlines()
    changed = [line for line in difflib.ndiff(before, after) if line.startswith(("- ", "+ "))]
    key, _, value = change.partition("=")
    assert len(changed) == 2 and changed[1].strip("+ ").startswith(f"{key.rpartition('.')[2]}: {value}")


def other(value: object) -> str:
    """Return another value of the same kind as `-S` takes it."""
    if isinstance(value, bool):
        return str(not value).lower()
    return str(value + 1) if isinstance(value, int | float) else "another"


@every_preset
def test_dvc_changes_one_line_for_each_key(name, tmp_path):
    """All keys but lists are changed at once: every other line stays as it is, and each changed line is that of a key."""
    path = tmp_path / "params.yaml"
    path.write_text(presets.text(name, FOLDER))
    values = {key: value for key, value in leaves(presets.read(name, FOLDER)).items() if not isinstance(value, list)}
    hydra.apply_overrides(path, [f"{key}={other(value)}" for key, value in values.items() if value != {}])
    before, after = presets.text(name, FOLDER).splitlines(), path.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [old.partition(":")[0].strip() for old, _ in changed] == [
        key.rpartition(".")[2] for key, value in values.items() if value != {}
    ]
    assert all(old.partition(":")[0] == new.partition(":")[0] for old, new in changed)


def test_changed_lists_keep_all_comments(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(DEFAULT)
    lists = [key for key, value in leaves(yaml.safe_load(DEFAULT)).items() if isinstance(value, list)]
    for value in ("[1.5,2.5,3.5]", "[]"):
        hydra.apply_overrides(path, [f"{key}={value}" for key in lists])
        assert presets.comments(path.read_text()) == presets.comments(DEFAULT)
    assert len(lists) > 5


def test_comments_are_above_a_key_or_at_the_end_of_its_line():
    assert presets.comments(SMALL) == {
        "a": "Of a.",
        "a.one": "One.",
        "a.some": "Some.",
        "a.two": "Two.",
        "a.names": "Names, in two lines.",
        "a.inner": "Of the inner one.",
        "a.inner.nothing": "Nothing.",
        "b": "Of b.",
        "b.three": "Three.",
    }
    assert presets.comments("# All.\n\na:\n  # Not indented alike.\n    b: 1\n") == {}


def test_values_and_comments_replace_the_old_ones():
    overlay = """\
# Mine.

# My a.
a:
  some: [3]
  # My two.
  two: 4
  names: {x: [y, z]}
  inner:
    nothing: 1  # Now something.
"""
    merged = presets.merge(SMALL, overlay)
    assert (
        merged
        == """\
# Mine.

# All.

# My a.
a:
  # One.
  one: 1
  # Some.
  some:
  - 3
  two: 4  # My two.

  # Rarely changed.

  # Names,
  # in two lines.
  names:
    x:
    - y
    - z
  # Of the inner one.
  inner:
    # Now something.
    nothing: 1
# Of b.
b:
  # Three.
  three: 3
"""
    )
    assert presets.merge(SMALL, "a:\n  one: 1\n") == SMALL


def test_all_unknown_keys_of_an_overlay_are_in_one_message():
    with pytest.raises(params.ParamsError) as caught:
        presets.merge(SMALL, "a:\n  won: 1\n  inner: 2\nc:\n  one: 1\n", "mine.yaml")
    assert str(caught.value).splitlines() == [
        "mine.yaml: 3 errors",
        "  a.won: is not a key of the default",
        "  a.inner: needs keys under it",
        "  c: is not a key of the default",
    ]


def test_an_unknown_preset_is_refused_with_the_list_of_presets():
    with pytest.raises(errors.UserError) as caught:
        presets.text("voc_smal", FOLDER)
    assert (
        str(caught.value)
        == f"{FOLDER}: has no preset `voc_smal`; choose from {', '.join(f'`{name}`' for name in NAMES)}"
    )


def test_an_overlay_that_is_not_utf8_is_refused_with_its_name(tmp_path):
    (tmp_path / "toy.yaml").write_text(SMALL)
    (tmp_path / "mine.yaml").write_bytes("# Bäume.\n\na:\n  one: 2\n".encode("latin-1"))
    with pytest.raises(errors.UserError, match=r"mine\.yaml: is not UTF-8 text \(line 1\)"):
        presets.text("mine", tmp_path)
    (tmp_path / "mine.yaml").write_bytes("# Bäume.\n\na:\n  one: 2\n".encode("utf-8-sig"))
    assert presets.text("mine", tmp_path).startswith("# Bäume.\n\n")


OTHERS = {path: schema.FILES[path] for path in (dag.SZN_PARAMS, dag.ZSI_PARAMS)}
other_files = pytest.mark.parametrize(("path", "sections"), OTHERS.items(), ids=OTHERS)


@other_files
def test_every_key_of_other_pipelines_has_a_comment_and_lines_are_short(path, sections):
    text = (dag.ROOT / path).read_text()
    expected = {key for section, cls in sections.items() for key in keys(cls, section)}
    comments = presets.comments(text)
    assert comments.keys() == expected
    for section, cls in sections.items():
        listed = keys(cls, section)
        assert list(leaves(yaml.safe_load(text)[section], f"{section}.")) == [
            key for key in listed if not any(other.startswith(f"{key}.") for other in listed)
        ]
    assert [line for line in text.splitlines() if len(line) > 120] == []
    assert not [key for key, comment in comments.items() if comment.startswith(("As ", "... "))]


@other_files
def test_dvc_changes_one_line_of_other_pipelines_for_each_key_and_keeps_the_comments_of_lists(tmp_path, path, sections):
    text = (dag.ROOT / path).read_text()
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with serialize.modify_yaml(path):
        pass
    assert path.read_text() == text
    values = {key: value for key, value in leaves(yaml.safe_load(text)).items() if value != {}}
    single = {key: value for key, value in values.items() if not isinstance(value, list)}
    hydra.apply_overrides(path, [f"{key}={other(value)}" for key, value in single.items()])
    after = path.read_text()
    changed = [old for old, new in zip(text.splitlines(), after.splitlines(), strict=True) if old != new]
    assert [line.partition(":")[0].strip() for line in changed] == [key.rpartition(".")[2] for key in single]
    hydra.apply_overrides(path, [f"{key}=[1.5,2.5]" for key in values if key not in single])
    assert presets.comments(path.read_text()) == presets.comments(text)
    assert len(single) < len(values)
