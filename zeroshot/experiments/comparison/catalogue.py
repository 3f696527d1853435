"""Which methods are compared, and in which tables: the files of presets/comparison, read strictly."""

import pathlib
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

import pydantic

from zeroshot.base import errors, params

Named = TypeVar("Named")
# Below the repository.
FOLDER = pathlib.Path("presets", "comparison")


@params.section
class Method:
    """A named way to run the pipeline and the model of it that is scored; an entry of methods.yaml.

    Attributes:
        model: whose metrics/<model>.json holds the figures.
        figures: which of them: `generalised` (with the model's seen bias), or `without_bias`.
        set: dotted keys of params.yaml and their values.
        target: what `dvc exp run` is asked for, such as another dvc.yaml; None for the pipeline of the root.
        note: one sentence for a reader of the tables.
    """

    model: str
    figures: Literal["generalised", "without_bias"]
    set: dict[str, Any]
    target: str | None
    note: str


@params.section
class Table:
    """One table: rows are K x method, columns the paper's."""

    title: str
    methods: Annotated[tuple[str, ...], pydantic.Field(min_length=1)]


@params.section
class Sweep:
    """What the curve shows: a method at one K, for some values of one parameter."""

    method: str
    k: int
    parameter: str
    values: Annotated[tuple[int | float, ...], pydantic.Field(min_length=1)]


@params.section
class Comparison:
    """One dataset and protocol in all its tables; an entry of tables.yaml.

    Attributes:
        title: heading of the report.
        preset: the preset that every run starts from.
        set: dotted keys that hold for every run of the comparison.
        splits: K -> dotted keys that choose its unseen classes.
        seeds: one run for each; every `seed` of the preset takes the value ...
        fixed_seeds: ... but those of these sections.
        tables: in the order of the report.
        protocols_at: the K of the table of generalised and vanilla figures.
        sweep: see `Sweep`; None for no curve.
        published: name of the dataset in published.csv; None where no published figure compares.
    """

    title: str
    preset: str
    set: dict[str, Any]
    splits: Annotated[dict[int, dict[str, Any]], pydantic.Field(min_length=1)]
    seeds: Annotated[tuple[params.Seed, ...], pydantic.Field(min_length=1)]
    fixed_seeds: tuple[str, ...]
    tables: tuple[Table, ...]
    protocols_at: int
    sweep: Sweep | None
    published: str | None

    @property
    def methods(self) -> list[str]:
        """All methods of all tables, each once, in their order."""
        return list(dict.fromkeys(name for table in self.tables for name in table.methods))

    def check(self, name: str, *, methods: Sequence[str], ks: Sequence[int], seeds: Sequence[int]) -> None:
        """Refuse a method, K or seed that the comparison does not have: no run would match, as if all were done.

        Raises:
            errors.UserError: naming the flag and what the comparison `name` has.
        """
        known = {"method": (methods, self.methods), "k": (ks, list(self.splits)), "seed": (seeds, self.seeds)}
        for flag, (asked, there) in known.items():
            for value in asked:
                if value not in there:
                    listed = ", ".join(f"`{one}`" for one in there)
                    raise errors.UserError(f"--{flag}: {name} has no `{value}`; there are: {listed}")


def methods(folder: str | pathlib.Path) -> dict[str, Method]:
    """Read methods.yaml of `folder`, in its order.

    Raises:
        params.ParamsError: with everything that is wrong in the first wrong entry.
    """
    return _entries(pathlib.Path(folder) / "methods.yaml", Method)


def comparison(folder: str | pathlib.Path, name: str, known: dict[str, Method]) -> Comparison:
    """Read the comparison `name` from tables.yaml of `folder`.

    Raises:
        errors.UserError: if there is none of that name, it does not fit `Comparison`, or it names a method that is not in `known` or a
            K that is not among its splits.
    """
    path = pathlib.Path(folder) / "tables.yaml"
    entries = _entries(path, Comparison)
    result = pick(entries, name, f"{path}: no comparison")
    for method in [*result.methods, *([result.sweep.method] if result.sweep else [])]:
        pick(known, method, f"{path}: {name}: no method")
    for k in [result.protocols_at, *([result.sweep.k] if result.sweep else [])]:
        if k not in result.splits:
            raise errors.UserError(
                f"{path}: {name}: K = {k} is not among its splits {', '.join(map(str, result.splits))}"
            )
    return result


def pick(entries: dict[str, Named], name: str, complaint: str) -> Named:
    """Return the entry `name`.

    Raises:
        errors.UserError: opening with `complaint` and listing the names there are.
    """
    if name not in entries:
        raise errors.UserError(f"{complaint} `{name}`; there are: {', '.join(f'`{known}`' for known in entries)}")
    return entries[name]


def _entries(path: pathlib.Path, cls: type[Named]) -> dict[str, Named]:
    return {str(name): params.build(entry, cls, str(name), str(path)) for name, entry in params.read(path).items()}
