"""Rules of the packages: imports, printing and command lines."""

import ast
import subprocess

import pytest

from tests.support import dag, source_code


def without_tail(tree: ast.Module) -> ast.Module:
    """Remove `if __name__ == "__main__":` and, where there is one, the function `main` that it calls."""
    tails = [
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
    ]
    mains = [node for node in tree.body if tails and isinstance(node, ast.FunctionDef) and node.name == "main"]
    return ast.Module([node for node in tree.body if node not in tails + mains], [])


def test_init_files_have_only_a_docstring():
    """Only that of the library has a function too: `zeroshot.predict`, for Python programs of users."""
    inits = [
        path
        for package in (*source_code.PACKAGES, "tests")
        for path in source_code.modules(package)
        if path.name == "__init__.py"
    ]
    assert len(inits) >= len(source_code.PACKAGES)
    for path in inits:
        if path == dag.ROOT / "zeroshot/__init__.py":
            functions = [node.name for node in source_code.parsed(path).body if isinstance(node, ast.FunctionDef)]
            assert functions == ["predict"]
            continue
        assert all(isinstance(node, ast.Expr) for node in source_code.parsed(path).body), path


def test_nothing_imports_a_stage():
    graph = source_code.imports()
    imported = {name for module in graph.modules for name in graph.find_modules_directly_imported_by(module)}
    assert {"zeroshot.base.params", "zeroshot.cache.rows"} <= imported
    assert not [name for name in imported if name.partition(".")[0] == "stages"]


def test_imports_go_down_only():
    """The floors of docs/extending.md; import-linter reads them from pyproject.toml."""
    process = subprocess.run(["lint-imports", "--no-cache"], cwd=dag.ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout


@pytest.mark.parametrize("path", source_code.modules("zeroshot"), ids=lambda path: str(path.relative_to(dag.ROOT)))
def test_the_library_prints_nothing_and_has_no_command_line(path):
    tree = without_tail(source_code.parsed(path))
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not calls & {"exec", "eval"}
    # experiments/schema.py and the commands receive the path of the file as an argument.
    assert "params.load" not in calls or path.name == "schema.py" or path.parent.name == "commands"
    if path.parent.name != "commands":
        assert "tyro" not in names or path.name == "command_line.py"
        assert "print" not in calls or path.stem == "progress"
    # The code dependencies do not include an import that is not a statement.
    assert not names & {"importlib", "runpy"} and "__import__" not in calls
