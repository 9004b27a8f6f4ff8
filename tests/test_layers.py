"""dashboards -> correlate -> registration -> datasets, never back, and no module in a cycle."""

import ast
from pathlib import Path

import pytest

ORDER = ["datasets", "registration", "correlate", "dashboards"]
ROOT = Path(__file__).parents[1]
MODULES = sorted(p for d in ORDER for p in (ROOT / d).rglob("*.py"))
CONFINED = {
    "zarr": {"datasets/zarr_unit.py", "datasets/chunking.py"},
    "numcodecs": {"datasets/encoding.py", "datasets/formats/electrons/mrcz.py"},
    "hdf5plugin": {"datasets/formats/electrons/dectris.py"},
    "sqlite3": {"datasets/catalogue.py", "datasets/formats/photoelectrons/specs_sle.py"},
    "rsciio": {"datasets/formats/electrons/rosetta", "datasets/formats/probes/rosetta", "datasets/writers"},
    "SimpleITK": {"registration/itk_volume.py"},
    "pint": {"datasets/units.py"},
    "galvani": {"datasets/formats/cells/biologic.py"},
    "fastnda": {"datasets/formats/cells/neware.py"},
    "dash": {"dashboards"},
    "plotly": {"dashboards", "correlate/report"},
}
"""Library -> the places that may import it."""
COMMANDS = {"correlate/cli.py", "correlate/pair_commands.py", "dashboards/command.py"}
"""Commands import what they run when they run, so that help need not wait for readers and registration."""
PHANTOM_READERS = {"correlate/cli.py", "correlate/demo.py"}
"""Analysis code may not look at the generator it is tested on; only the commands that run it may."""


def imports(file: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} uses a relative import"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def place(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("file", MODULES, ids=place)
def test_imports_point_down(file):
    level = ORDER.index(place(file).split("/")[0])
    for line, name in imports(file):
        top = name.split(".")[0]
        assert top not in ORDER or ORDER.index(top) <= level, f"{place(file)}:{line} imports {name}"


@pytest.mark.parametrize("file", MODULES, ids=place)
def test_a_big_library_is_confined_to_few_places(file):
    for line, name in imports(file):
        allowed = CONFINED.get(name.split(".")[0])
        free = allowed is None or any(place(file).startswith(where) for where in allowed)
        assert free, f"{place(file)}:{line} imports {name}"


@pytest.mark.parametrize("file", MODULES, ids=place)
def test_analysis_never_imports_the_phantom(file):
    if place(file).startswith("datasets/phantom") or place(file) in PHANTOM_READERS:
        return
    for line, name in imports(file):
        assert not name.startswith("datasets.phantom"), f"{place(file)}:{line} imports {name}"


@pytest.mark.parametrize("file", MODULES, ids=place)
def test_formats_know_no_techniques(file):
    if not place(file).startswith("datasets/formats"):
        return
    for line, name in imports(file):
        assert not name.startswith("datasets.technique"), f"{place(file)}:{line} imports {name}"


def test_no_import_hides_inside_a_function_to_dodge_a_cycle():
    for file in (f for f in MODULES if place(f) not in COMMANDS):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                for node in ast.walk(function):
                    hidden = isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ORDER
                    assert not hidden, f"{place(file)}:{node.lineno} imports inside {function.name}"


def test_no_module_is_in_an_import_cycle():
    graph = {module_name(file): {target for _, name in imports(file) for target in loaded(name, module_name(file))}
             for file in MODULES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name):], name))
        if name in done:
            return
        for target in sorted(graph.get(name, ())):
            if target != name:
                visit(target, (*path, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())


def module_name(file: Path) -> str:
    return place(file).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


KNOWN = {module_name(file) for file in MODULES}


def loaded(name: str, by: str) -> set[str]:
    """The module that an import loads, and each package above it that is not above the importing module, too."""
    found = targets(name)
    for target in list(found):
        parts = target.split(".")
        above = {".".join(parts[:n]) for n in range(1, len(parts))}
        found |= {package for package in above & KNOWN if not by.startswith(f"{package}.") and by != package}
    return found


def targets(name: str) -> set[str]:
    """The module that an import statement really loads: `a.b.c` may be module a.b.c or a name inside a.b."""
    return {name} if name in KNOWN else {name.rpartition(".")[0]} & KNOWN
