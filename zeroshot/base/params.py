"""Strict loading of one section of params.yaml into the frozen dataclass of the stage that owns it.

A section's dataclass stands beside the algorithm it configures (`fine_tuning.Params`, `layout.Params`, ...). It is made with the
`section` decorator below, so every field is required, unknown keys are refused and types are not guessed.
"""

import difflib
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar, cast, dataclass_transform

import pydantic
import pydantic.dataclasses
import yaml

from zeroshot.base import errors

Section = TypeVar("Section")

_CONFIG = pydantic.ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass_transform(frozen_default=True)
def section(cls: type[Section]) -> type[Section]:
    """Make a class the frozen dataclass of a section: every field required, unknown keys refused, types not guessed."""
    return cast(type[Section], pydantic.dataclasses.dataclass(cls, frozen=True, config=_CONFIG))


_YAML12_FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+")


def _read_exponent(value: Any) -> Any:
    """Turn the text of a number such as `5e-05` into the number.

    DVC writes and reads YAML 1.2, where `5e-05` is a number; PyYAML reads YAML 1.1, where it is a string.
    """
    if isinstance(value, str) and _YAML12_FLOAT.fullmatch(value):
        return float(value)
    return value


Float = Annotated[float, pydantic.BeforeValidator(_read_exponent)]
Positive = Annotated[Float, pydantic.Field(gt=0)]
NonNegative = Annotated[Float, pydantic.Field(ge=0)]
Fraction = Annotated[Float, pydantic.Field(ge=0, le=1)]
Count = Annotated[int, pydantic.Field(ge=1)]
Seed = Annotated[int, pydantic.Field(ge=0, lt=2**31)]


class ParamsError(errors.UserError):
    """Raised when params.yaml does not fit the dataclass of a section; the text lists every fault."""


def load(path: str | pathlib.Path, name: str, cls: type[Section]) -> Section:
    """Load section `name` of the parameter file at `path`.

    Args:
        path: a YAML file whose top level is a mapping from section names to mappings.
        name: the section, for example `gmmn`.
        cls: the dataclass of that section, made with `params.section`.

    Raises:
        ParamsError: if the file cannot be read, or with one line for every missing, unknown or wrong key.
    """
    document = read(path)
    if not isinstance(document.get(name), dict):
        raise ParamsError(f"{path}: needs a section `{name}:` with keys under it")
    return build(document[name], cls, prefix=name, source=str(path))


def read(path: str | pathlib.Path) -> dict[str, Any]:
    """Read a parameter file as plain values, unchecked but for keys that stand twice.

    Raises:
        ParamsError: if the file cannot be read, is no mapping, or has a key twice in one mapping.
    """
    try:
        text = pathlib.Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: cannot be read as YAML: {error}") from error
    return parse(text, str(path))


def parse(text: str, source: str) -> dict[str, Any]:
    """Return the plain values of the text of a parameter file, unchecked but for keys that stand twice.

    Args:
        text: YAML.
        source: the file named in messages.

    Raises:
        ParamsError: if the text is no YAML or no mapping, or has a key twice in one mapping.
    """
    try:
        document = yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise ParamsError(f"{source}: cannot be read as YAML: {error}") from error
    if not isinstance(document, dict):
        raise ParamsError(f"{source}: needs sections with keys under them")
    return document


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key `{key.value}` stands twice", key.start_mark)
        return super().construct_mapping(node, deep)


def build(values: dict[str, Any], cls: type[Section], prefix: str, source: str = "params") -> Section:
    """Check a mapping against `cls` and build it.

    Args:
        values: the section's keys and values, for example from a checkpoint's `config`.
        cls: the dataclass.
        prefix: put before every key in messages, as in `gmmn.lr`.
        source: the file named in messages.

    Raises:
        ParamsError: with one line for every missing, unknown or wrong key.
    """
    try:
        # Read as JSON, whose lists may be tuples and whose mappings may be dataclasses even where nothing else is converted.
        return pydantic.TypeAdapter(cls).validate_json(json.dumps(values, default=str))
    except pydantic.ValidationError as error:
        lines = [_describe(fault, values, cls, prefix) for fault in error.errors()]
        raise ParamsError(listed(source, lines)) from None


def listed(source: str, faults: Sequence[str]) -> str:
    """Return the text of an error: where, how many faults, and a line for each."""
    return "\n".join(
        [f"{source}: {len(faults)} error{'s' if len(faults) > 1 else ''}", *(f"  {fault}" for fault in faults)]
    )


def to_dict(params: Any) -> dict[str, Any]:
    """Return a section as plain lists, numbers and strings, fit for a checkpoint or JSON."""
    return pydantic.TypeAdapter(type(params)).dump_python(params, mode="json")


def _describe(fault: Any, values: Any, cls: type, prefix: str) -> str:
    where = [str(part) for part in fault["loc"]]
    key = ".".join([prefix, *where])
    if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        for part in where[:-1]:
            cls = cls.__dataclass_fields__[part].type
        known = cls.__dataclass_fields__
        close = difflib.get_close_matches(where[-1], known, n=1)
        hint = (
            f"did you mean `{'.'.join([prefix, *where[:-1], close[0]])}`?"
            if close
            else f"known keys: {', '.join(known)}"
        )
        return f"{key}: unknown key; {hint}"
    if fault["type"] in ("missing", "missing_argument"):
        return f"{key}: missing"
    return f"{key}: {fault['msg'].removeprefix('Value error, ')} (found {fault['input']!r})"
