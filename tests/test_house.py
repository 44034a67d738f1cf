"""The house stands as DESIGN's floors say: files are short, doors are few, names do not collide."""

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import models

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("flows", "tasks", "models", "sql")
MAX_LINES = 300

# Which files may import a library; a library that is not listed may be used anywhere its floor may.
DOORS = {
    "aiohttp": {
        "tasks/ingestion/fetching/answers.py",
        "tasks/ingestion/fetching/connections.py",
        "tasks/ingestion/fetching/failures.py",
        "tasks/ingestion/fetching/fetch.py",
        "tasks/ingestion/fetching/guard.py",
    },
    "altair": {"tasks/report/charts.py"},
    "duckdb": {"tasks/database.py"},
    "fastwarc": {"tasks/ingestion/sources/warc.py"},
    "fsspec": {"tasks/storage.py", "tasks/ingestion/sources/places.py"},
    "mlflow": {"tasks/registry.py", "tasks/tracking.py"},
    "pyarrow.parquet": {
        "tasks/row_groups.py",
        "tasks/rows.py",
        "tasks/ingestion/sources/tables.py",
    },
    "webdataset": {"tasks/shards.py"},
}
# What a bare GPU host does not have; models/ must import without it.
PIPELINE_LIBRARIES = (
    "prefect",
    "mlflow",
    "duckdb",
    "webdataset",
    "aiohttp",
    "pyarrow",
    "fsspec",
    "cv2",
    "PIL",
)


def python_files(*floors: str) -> list[Path]:
    return sorted(file for floor in floors for file in (ROOT / floor).rglob("*.py"))


def named(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def imported_modules(file: Path) -> set[str]:
    """Every dotted module that the file imports, at the top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def comes_from(module: str, library: str) -> bool:
    return module == library or module.startswith(library + ".")


@pytest.mark.parametrize("file", python_files(*FLOORS, "tests"), ids=named)
def test_a_file_has_at_most_300_lines(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("file", sorted((ROOT / "sql").rglob("*.sql")), ids=named)
def test_a_statement_opens_with_its_question_and_with_what_it_reads(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert lines[0].startswith("-- ")
    assert lines[1].startswith("-- ")


@pytest.mark.parametrize("library", DOORS)
def test_a_library_enters_tasks_by_its_door_only(library: str) -> None:
    users = {
        named(file)
        for file in python_files("tasks", "models", "sql")
        if any(comes_from(module, library) for module in imported_modules(file))
    }
    assert users <= DOORS[library]


def test_only_flows_environment_reads_the_environment() -> None:
    readers = {
        named(file)
        for file in python_files(*FLOORS)
        for node in ast.walk(ast.parse(file.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"))
    }
    assert readers == {"flows/environment.py"}


def test_no_package_init_holds_code() -> None:
    assert not [
        named(f) for f in python_files(*FLOORS) if f.name == "__init__.py" and f.read_text()
    ]


def test_no_file_in_flows_is_named_after_an_installed_library() -> None:
    # Whoever puts flows/ on the path (Prefect does, for an entrypoint with a colon) would otherwise
    # shadow the library: with a flows/datasets.py, transformers believes that `datasets` is there.
    libraries = set(importlib.metadata.packages_distributions()) | set(sys.stdlib_module_names)
    assert not {file.stem for file in python_files("flows")} & libraries - {"__init__"}


def test_the_models_that_are_imported_are_this_repositorys() -> None:
    # PyPI and many checkouts have a top-level `models`; the first on the path would win.
    assert Path(str(models.__file__)).is_relative_to(ROOT)


def test_models_import_on_a_host_that_has_only_torch_and_transformers() -> None:
    names = [named(file)[: -len(".py")].replace("/", ".") for file in python_files("models")]
    script = "\n".join(
        [
            "import sys, importlib",
            f"sys.modules.update(dict.fromkeys({PIPELINE_LIBRARIES!r}))",
            f"for name in {[n.removesuffix('.__init__') for n in names]!r}:",
            "    importlib.import_module(name)",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_pinned_versions_are_those_with_which_prefect_works() -> None:
    # fastapi 0.158 and later: Prefect's server cannot start. SQLAlchemy 2.1: no scheduled run is
    # ever created, and nothing says so.
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line and not line.startswith("#")
    )
    lower = {name.lower(): version for name, version in pins.items()}
    assert (0, 139) <= numbers(lower["fastapi"]) < (0, 151)
    assert (2, 0) <= numbers(lower["sqlalchemy"]) < (2, 1)
    for name in ("fastapi", "sqlalchemy", "prefect", "torch"):
        assert numbers(importlib.metadata.version(name)) == numbers(lower[name])


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2])
