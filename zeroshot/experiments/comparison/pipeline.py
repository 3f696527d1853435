"""What dvc.yaml says of the figures: which stages score a model, and which parameters have a part in that."""

import pathlib

import dvc.dependency.param
import dvc.repo
import dvc.repo.graph


def parameters(root: pathlib.Path) -> dict[str, frozenset[str]]:
    """Return for every metrics file of the repository at `root` the keys of params.yaml (sections, as a rule) that it depends on.

    With params.yaml as it is: where the path of a dependency is a parameter (`backbone.semantic.vectors`), another value may add to it.
    """
    with dvc.repo.Repo(str(root)) as repo:
        graph = repo.index.graph
        return {
            out.def_path: frozenset(
                key
                for stage in dvc.repo.graph.get_subgraph_of_nodes(graph, [out.stage])
                for dep in stage.deps
                if isinstance(dep, dvc.dependency.param.ParamsDependency)
                for key in dep.params
            )
            for out in repo.index.metrics
        }
