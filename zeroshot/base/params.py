"""Strict loading of one section of params.yaml into the frozen dataclass of the stage that reads it.

The dataclass of a section is defined in the module of the algorithm that it configures (`fine_tuning.Params`, `layout.Params`, ...).
The decorator `section` makes every field required, refuses unknown keys and converts no types.
"""

import difflib
import json
import pathlib
import re
import typing
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
        raise ParamsError(
            listed(str(path), [_Fault(found, values, str, key).describe() for found in error.errors()])
        ) from None


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
        # As pydantic saw them: JSON has no keys but texts.
        plain = json.loads(json.dumps(values, default=str))
        faults = [_Fault(found, plain, cls, prefix) for found in error.errors()]
        # An item that is no text, for example, is not counted either.
        faults = [fault for fault in faults if not (fault.is_too_short and any(map(fault.is_above, faults)))]
        missing = {fault.key for fault in faults if fault.is_missing}
        # The line of a misspelt key says that the right one is missing.
        said = {fault.nearest() for fault in faults if fault.is_unknown}
        lines = [fault.describe(missing) for fault in faults if not fault.is_missing or fault.key not in said]
        raise ParamsError(listed(source, lines)) from None


def listed(source: str, faults: Sequence[str]) -> str:
    """Return the text of an error: the source, the number of faults, and a line for each fault."""
    return "\n".join(
        [f"{source}: {len(faults)} error{'s' if len(faults) > 1 else ''}", *(f"  {fault}" for fault in faults)]
    )


def to_dict(params: Any) -> dict[str, Any]:
    """Return a section as plain mappings, lists, numbers and strings, for a checkpoint or JSON."""
    return pydantic.TypeAdapter(type(params)).dump_python(params, mode="json")


class _Fault:
    """A fault that pydantic found in the values of a section."""

    def __init__(self, found: Any, values: Any, cls: type, prefix: str) -> None:
        self._found, self._cls, self._prefix = found, cls, prefix
        self.is_missing, self.is_unknown = found["type"] in _MISSING, found["type"] in _UNKNOWN
        self.is_too_short = found["type"] == "too_short"
        # pydantic adds the names of the members of a union, which are neither a key nor a place in a list.
        self._path: list[str | int] = []
        last = len(found["loc"]) - 1
        for number, part in enumerate(found["loc"]):
            places = dict(enumerate(values)) if isinstance(values, list | tuple) else values
            is_named = number == last and (self.is_missing or self.is_unknown)
            if is_named or (isinstance(places, dict) and part in places):
                self._path.append(part)
                values = places.get(part) if isinstance(places, dict) else None

    @property
    def key(self) -> str:
        """The key in full."""
        return self._in_full(self._path)

    def _in_full(self, path: Sequence[str | int]) -> str:
        return ".".join([self._prefix, *map(str, path)])

    def is_above(self, other: "_Fault") -> bool:
        """Return whether the place of the other fault is inside of this one's."""
        return len(other._path) > len(self._path) and other._path[: len(self._path)] == self._path

    def nearest(self) -> str | None:
        """Return in full the key that an unknown one probably stands for, if one is similar."""
        close = difflib.get_close_matches(str(self._path[-1]), self._known(), n=1)
        return self._in_full([*self._path[:-1], close[0]]) if close else None

    def describe(self, missing: Container[str] = ()) -> str:
        """Return a line; `missing` has the keys that are missing, in full."""
        if self.is_unknown:
            nearest = self.nearest()
            which = ", which is missing" if nearest and nearest in missing else ""
            hint = f"did you mean `{nearest}`{which}?" if nearest else f"known keys: {', '.join(self._known())}"
            return f"{self.key}: unknown key; {hint}"
        if self.is_missing:
            return f"{self.key}: missing"
        # A whole section as text would hide the message.
        value = self._found["input"]
        found = "" if isinstance(value, dict) else f" (found {value!r})"
        return f"{self.key}: {self._found['msg'].removeprefix('Value error, ')}{found}"

    def _known(self) -> list[str]:
        """Return the keys beside which an unknown one stands."""
        annotation: Any = self._cls
        for part in self._path[:-1]:
            fields = {
                name: field for one in _sections_of(annotation) for name, field in one.__dataclass_fields__.items()
            }
            # A place in a list or a mapping has the sections of the whole.
            annotation = fields[part].type if part in fields else annotation
        return [name for one in _sections_of(annotation) for name in one.__dataclass_fields__]


def _sections_of(annotation: Any) -> list[Any]:
    """Return the dataclasses in a type, which may be a union or have annotations."""
    if hasattr(annotation, "__dataclass_fields__"):
        return [annotation]
    return [one for part in typing.get_args(annotation) for one in _sections_of(part)]
