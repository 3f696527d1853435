"""Which methods are compared, and in which tables: the files of presets/comparison, read strictly."""

import pathlib
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

import pydantic

from zeroshot.base import errors, params
from zeroshot.experiments.comparison import overrides

Named = TypeVar("Named")
# Relative to the repository.
FOLDER = pathlib.Path("presets", "comparison")


@params.section
class Method:
    """A method: parameters of the pipeline and the model that is scored; an entry of methods.yaml.

    Attributes:
        model: name of the model; its metrics are in metrics/<model>.json.
        figures: block of that file: `generalised` (with the model's seen bias) or `without_bias`.
        set: keys of the parameter files (`overrides`) and their values.
        target: target of `dvc exp run`: another dvc.yaml, or the stage of the main pipeline that a run ends with; None for all of the main
            pipeline.
        reads_unseen: whether it reads labels of unseen classes, so that it is no zero-shot method; the tables mark it.
        note: one sentence for readers of the tables.
    """

    model: str
    figures: Literal["generalised", "without_bias"]
    set: dict[str, Any]
    target: str | None
    reads_unseen: bool
    note: str

    @property
    def parameter_files(self) -> tuple[str, ...]:
        """The parameter files that a run reads: params.yaml, and the one beside another dvc.yaml."""
        own = pathlib.PurePosixPath(self.target or "dvc.yaml").with_name(overrides.MAIN)
        return tuple(dict.fromkeys((overrides.MAIN, str(own))))


@params.section
class Table:
    """One table: a row for each K and method, the columns of the paper."""

    title: str
    methods: Annotated[tuple[str, ...], pydantic.Field(min_length=1)]


@params.section
class Sweep:
    """The curves of methods at one K against the values of one parameter."""

    methods: Annotated[tuple[str, ...], pydantic.Field(min_length=1)]
    k: int
    parameter: str
    values: Annotated[tuple[int | float, ...], pydantic.Field(min_length=1)]


@params.section
class Hours:
    """How long runs take, about, on two CPU cores.

    Attributes:
        network: hours to train a network and dump its features; runs with the same parameters up to there share them.
        rest: hours of all other stages of a run.
    """

    network: Annotated[float, pydantic.Field(ge=0)]
    rest: Annotated[float, pydantic.Field(ge=0)]


@params.section
class Comparison:
    """All tables of one dataset and protocol; an entry of tables.yaml.

    Attributes:
        title: heading of the report.
        preset: the preset of all parameter files that every run starts from.
        set: keys of the parameter files and their values, the same in every run of the comparison.
        splits: K -> keys and values that choose the unseen classes.
        hours: how long runs take; None if unknown.
        seeds: the seeds; each run sets every `seed` of the preset, except in `fixed_seeds`, to one of them.
        more_seeds: K -> further seeds there.
        fixed_seeds: sections of the preset that keep their own seed.
        tables: in the order of the report.
        differences: pairs of methods whose differences get intervals over evaluation images.
        pictures_at: the K of the example images.
        sweep: the curves; None for no curve.
        published: name of the dataset in published.csv; None if no published value is comparable.
    """

    title: str
    preset: str
    set: dict[str, Any]
    splits: Annotated[dict[int, dict[str, Any]], pydantic.Field(min_length=1)]
    hours: Hours | None
    seeds: Annotated[tuple[params.Seed, ...], pydantic.Field(min_length=1)]
    more_seeds: dict[int, tuple[params.Seed, ...]]
    fixed_seeds: tuple[str, ...]
    tables: tuple[Table, ...]
    differences: tuple[tuple[str, str], ...]
    pictures_at: int
    sweep: Sweep | None
    published: str | None

    @property
    def methods(self) -> list[str]:
        """All methods of all tables, without repetition, in the order of the tables."""
        return list(dict.fromkeys(name for table in self.tables for name in table.methods))

    @property
    def all_seeds(self) -> list[int]:
        """The seeds at any K."""
        return sorted({seed for k in self.splits for seed in self.seeds_at(k)})

    def seeds_at(self, k: int) -> tuple[int, ...]:
        """Return the seeds at a K."""
        return tuple(dict.fromkeys((*self.seeds, *self.more_seeds.get(k, ()))))

    def check(self, name: str, *, methods: Sequence[str], ks: Sequence[int], seeds: Sequence[int]) -> None:
        """Refuse a method, K or seed that is not in the comparison; otherwise no run would match, and all would seem to be done.

        Raises:
            errors.UserError: with the flag and the allowed values.
        """
        known = {"method": (methods, self.methods), "k": (ks, list(self.splits)), "seed": (seeds, self.all_seeds)}
        for flag, (requested, allowed) in known.items():
            for value in requested:
                if value not in allowed:
                    listed = ", ".join(f"`{one}`" for one in allowed)
                    raise errors.UserError(f"--{flag}: {name} has no `{value}`; choose from {listed}")


def methods(folder: str | pathlib.Path) -> dict[str, Method]:
    """Read methods.yaml of `folder`, in its order.

    Raises:
        params.ParamsError: with all errors of the first invalid entry.
    """
    return _entries(pathlib.Path(folder) / "methods.yaml", Method)


def proper_names(known: dict[str, Method]) -> dict[str, str]:
    """Return the name of each model for readers: of its methods without parameters of their own, the one with the shortest name.

    So `spnet` is SPNet, which has a seen bias, and `devise` is DeViSE, which has none. The order is that of `known`.
    """
    names: dict[str, str] = {}
    for name, method in known.items():
        if not method.set and len(name) < len(names.get(method.model, name + "+")):
            names[method.model] = name
    return names


def comparison(folder: str | pathlib.Path, name: str, known: dict[str, Method]) -> Comparison:
    """Read the comparison `name` from tables.yaml of `folder`.

    Raises:
        errors.UserError: if the comparison does not exist or is invalid, if `known` lacks one of its methods, or if its splits lack a K
            that it uses.
    """
    path = pathlib.Path(folder) / "tables.yaml"
    entries = _entries(path, Comparison)
    result = pick(entries, name, f"{path}: no comparison")
    for method in [*result.methods, *(result.sweep.methods if result.sweep else [])]:
        pick(known, method, f"{path}: {name}: no method")
    for method in dict.fromkeys(method for pair in result.differences for method in pair):
        if method not in result.methods:
            raise errors.UserError(f"{path}: {name}: differences: no table has the method `{method}`")
    for k in [*result.more_seeds, result.pictures_at, *([result.sweep.k] if result.sweep else [])]:
        if k not in result.splits:
            raise errors.UserError(
                f"{path}: {name}: K = {k} is not among its splits {', '.join(map(str, result.splits))}"
            )
    return result


def pick(entries: dict[str, Named], name: str, complaint: str) -> Named:
    """Return the entry `name`.

    Raises:
        errors.UserError: if there is no such entry; the message starts with `complaint` and lists all names.
    """
    if name not in entries:
        raise errors.UserError(f"{complaint} `{name}`; choose from {', '.join(f'`{known}`' for known in entries)}")
    return entries[name]


def _entries(path: pathlib.Path, cls: type[Named]) -> dict[str, Named]:
    return {str(name): params.build(entry, cls, str(name), str(path)) for name, entry in params.read(path).items()}
