"""The source files of this repository's packages and their imports."""

import ast
import functools
import pathlib
import tokenize

import grimp

from tests.support import dag

PACKAGES = ("zeroshot", "stages")


@functools.cache
def imports() -> grimp.ImportGraph:
    """Return the import graph of the packages."""
    # Without `cache_dir=None`, grimp would write a cache folder into the repository.
    return grimp.build_graph(*PACKAGES, cache_dir=None, exclude_type_checking_imports=True)


def source(module: str) -> pathlib.Path:
    """Return the file of a module."""
    path = dag.ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def parsed(path: pathlib.Path) -> ast.Module:
    """Return the syntax tree of a file."""
    with tokenize.open(path) as file:
        return ast.parse(file.read())


def modules(package: str) -> list[pathlib.Path]:
    """Return the files of a package."""
    return sorted((dag.ROOT / package).rglob("*.py"))
