"""Strict loading of one section of params.yaml into the frozen dataclass of the stage that reads it.

The dataclass of a section is defined in the module of the algorithm that it configures (`fine_tuning.Params`, `layout.Params`, ...).
The decorator `section` makes every field required, refuses unknown keys and converts no types.
"""

import difflib
import json
import pathlib
import re
from collections.abc import Container, Sequence
from typing import Annotated, Any, TypeVar, cast, dataclass_transform

import pydantic
import pydantic.dataclasses
import yaml

from zeroshot.base import errors, strict_yaml, text_files

Section = TypeVar("Section")

_CONFIG = pydantic.ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass_transform(frozen_default=True)
def section(cls: type[Section]) -> type[Section]:
    """Make a class the frozen dataclass of a section; every field is required, unknown keys are refused, no type is converted."""
    return cast(type[Section], pydantic.dataclasses.dataclass(cls, frozen=True, config=_CONFIG))


_YAML12_FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+")


def _read_exponent(value: Any) -> Any:
    """Convert text such as `5e-05` to a float.

    DVC writes and reads YAML 1.2, where `5e-05` is a number; PyYAML reads YAML 1.1, where it is a string.
    """
    if isinstance(value, str) and _YAML12_FLOAT.fullmatch(value):
        return float(value)
    return value


def _check_data_path(path: str) -> str:
    """Return a path that a shell or a script reads as itself, and a command does not take for an option."""
    special = [character for character in dict.fromkeys(path) if character in "\"'`$\\" or not character.isprintable()]
    if special:
        raise ValueError(
            f"must not contain {' '.join(map(ascii, special))}, which shells read as code; rename the file or folder"
        )
    if path.startswith("-"):
        raise ValueError("must not begin with `-`, which commands read as an option; write `./` before it")
    return path


Float = Annotated[float, pydantic.BeforeValidator(_read_exponent)]
Positive = Annotated[Float, pydantic.Field(gt=0)]
NonNegative = Annotated[Float, pydantic.Field(ge=0)]
Fraction = Annotated[Float, pydantic.Field(ge=0, le=1)]
Count = Annotated[int, pydantic.Field(ge=1)]
Seed = Annotated[int, pydantic.Field(ge=0, lt=2**31)]
# A path of data. It is a dependency in dvc.yaml, and commands get it by the name of its key (`data_path`).
DataPath = Annotated[str, pydantic.Field(min_length=1), pydantic.AfterValidator(_check_data_path)]


# Types of pydantic's errors.
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
_MISSING = ("missing", "missing_argument")


class ParamsError(errors.UserError):
    """Raised if params.yaml does not match the dataclass of a section; the text lists every fault."""


def load(path: str | pathlib.Path, name: str, cls: type[Section]) -> Section:
    """Load section `name` of the parameter file at `path`.

    Args:
        path: a YAML file whose top level is a mapping from section names to mappings.
        name: the section, for example `gmmn`.
        cls: the dataclass of that section, made with `params.section`.

    Raises:
        ParamsError: if the file cannot be read, or if keys are missing, unknown or wrong; the text has a line for each.
    """
    document = read(path)
    if not isinstance(document.get(name), dict):
        raise ParamsError(f"{path}: needs a section `{name}:` with keys under it")
    return build(document[name], cls, prefix=name, source=str(path))


def data_path(path: str | pathlib.Path, key: str) -> str:
    """Return the path of data that a parameter file has at a dotted key, for example `data.root`.

    Args:
        path: as in `load`.
        key: the names of a section and of keys below it, joined by dots.

    Raises:
        ParamsError: if the file cannot be read, or has no valid path there.
    """
    values: Any = read(path)
    for name in key.split("."):
        if not isinstance(values, dict) or name not in values:
            raise ParamsError(f"{path}: {key}: missing")
        values = values[name]
    try:
        return pydantic.TypeAdapter(DataPath).validate_python(values, strict=True)
    except pydantic.ValidationError as error:
        raise ParamsError(listed(str(path), [_describe(fault, values, str, key) for fault in error.errors()])) from None


def read(path: str | pathlib.Path) -> dict[str, Any]:
    """Read a parameter file as plain values. Only duplicate keys and the size with aliases written out are checked.

    Raises:
        ParamsError: for the reasons of `parse`, or if the file cannot be read.
    """
    try:
        content = text_files.read(path)
    except text_files.TextError as error:
        raise ParamsError(f"{path}: cannot be read as YAML: {error.cause}") from error
    return parse(content, str(path))


def parse(text: str, source: str) -> dict[str, Any]:
    """Return the plain values in the text of a parameter file. Only duplicate keys and the size with aliases written out are checked.

    Args:
        text: YAML.
        source: the file named in messages.

    Raises:
        ParamsError: if `strict_yaml.load` refuses the text, or it is not a mapping.
    """
    try:
        document = strict_yaml.load(text)
    except RecursionError:
        raise ParamsError(
            f"{source}: cannot be read as YAML: too many brackets or blocks inside of each other"
        ) from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{source}: cannot be read as YAML: {error}") from error
    if not isinstance(document, dict):
        raise ParamsError(f"{source}: needs sections with keys under them")
    return document


def build(values: dict[str, Any], cls: type[Section], prefix: str, source: str = "params") -> Section:
    """Check a mapping against the dataclass `cls` and return an instance.

    Args:
        values: the section's keys and values, for example from a checkpoint's `config`.
        cls: the dataclass of the section.
        prefix: put before every key in messages, as in `gmmn.lr`.
        source: the file named in messages.

    Raises:
        ParamsError: if keys are missing, unknown or wrong; the text has a line for each.
    """
    try:
        # In strict mode, pydantic accepts lists for tuples and mappings for dataclasses only from JSON.
        return pydantic.TypeAdapter(cls).validate_json(json.dumps(values, default=str))
    except pydantic.ValidationError as error:
        faults = error.errors()
        missing = {_key(fault, prefix) for fault in faults if fault["type"] in _MISSING}
        # The line of a misspelt key says that the right one is missing.
        said = {_nearest(fault, cls, prefix) for fault in faults if fault["type"] in _UNKNOWN}
        lines = [
            _describe(fault, values, cls, prefix, missing)
            for fault in faults
            if fault["type"] not in _MISSING or _key(fault, prefix) not in said
        ]
        raise ParamsError(listed(source, lines)) from None


def listed(source: str, faults: Sequence[str]) -> str:
    """Return the text of an error: the source, the number of faults, and a line for each fault."""
    return "\n".join(
        [f"{source}: {len(faults)} error{'s' if len(faults) > 1 else ''}", *(f"  {fault}" for fault in faults)]
    )


def to_dict(params: Any) -> dict[str, Any]:
    """Return a section as plain mappings, lists, numbers and strings, for a checkpoint or JSON."""
    return pydantic.TypeAdapter(type(params)).dump_python(params, mode="json")


def _describe(fault: Any, values: Any, cls: type, prefix: str, missing: Container[str] = ()) -> str:
    key = _key(fault, prefix)
    if fault["type"] in _UNKNOWN:
        nearest = _nearest(fault, cls, prefix)
        which = ", which is missing" if nearest and nearest in missing else ""
        hint = f"did you mean `{nearest}`{which}?" if nearest else f"known keys: {', '.join(_known(fault, cls))}"
        return f"{key}: unknown key; {hint}"
    if fault["type"] in _MISSING:
        return f"{key}: missing"
    # A whole section as text would hide the message.
    found = "" if isinstance(fault["input"], dict) else f" (found {fault['input']!r})"
    return f"{key}: {fault['msg'].removeprefix('Value error, ')}{found}"


def _key(fault: Any, prefix: str) -> str:
    """Return the key of a fault in full."""
    return ".".join([prefix, *map(str, fault["loc"])])


def _known(fault: Any, cls: type) -> Sequence[str]:
    """Return the keys beside which an unknown one stands."""
    for part in fault["loc"][:-1]:
        cls = cls.__dataclass_fields__[part].type
    return list(cls.__dataclass_fields__)


def _nearest(fault: Any, cls: type, prefix: str) -> str | None:
    """Return in full the key that an unknown one probably stands for, if one is similar."""
    close = difflib.get_close_matches(str(fault["loc"][-1]), _known(fault, cls), n=1)
    return ".".join([prefix, *map(str, fault["loc"][:-1]), close[0]]) if close else None
