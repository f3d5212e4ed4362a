"""What documentation cites exists: every path, module, function and decision in a page, a docstring or a comment."""

import ast
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("answers", "benchmarks", "bots", "cli", "core", "indexer", "tests")
FOLDERS = (*PACKAGES, "docs", "deploy", ".ci")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], key=str)
MODULES = sorted(
    file for package in PACKAGES for file in ROOT.glob(f"{package}/**/*.py") if "migrations/versions" not in str(file)
)
CITED_PATH = re.compile(rf"(?<![\w./@-])((?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]*[\w/])(?![\w*])")
CITED_NAME = re.compile(r"`([\w./]+\.py): (\w+(?:\.\w+)?)`")
CITED_MODULE = re.compile(rf"(?<![\w./@-])((?:{'|'.join(PACKAGES)})(?:\.[a-z_]\w*)+)")
CITED_DECISION = re.compile(r"[Dd]ecisions? (\d{4})")
CHANGELOG = ROOT / "CHANGELOG.md"


def texts(file: Path) -> Iterator[str]:
    """Yield what a file says to its reader: a page as a whole; of code the docstrings and comments."""
    if file.suffix == ".md":
        yield file.read_text(encoding="utf-8")
        return
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    with file.open("rb") as source:
        yield from (token.string for token in tokenize.tokenize(source.readline) if token.type == tokenize.COMMENT)


@cache
def names_of(module: Path) -> frozenset[str]:
    """Return every class, function and assigned name of a module, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return frozenset(found)


def is_module(dotted: str) -> bool:
    """Tell whether a dotted name is a module or package, or something in one."""
    *parents, last = dotted.split(".")
    whole, parent = ROOT.joinpath(*parents, last), ROOT.joinpath(*parents)
    if whole.is_dir() or whole.with_suffix(".py").is_file():
        return True
    module = parent.with_suffix(".py")
    return module.is_file() and last in names_of(module)


def missing(text: str) -> list[str]:
    """Return what a text cites and is not there."""
    paths = {path.rstrip("/") for path in CITED_PATH.findall(text)}
    faults = sorted(path for path in paths if not (ROOT / path).exists())
    for path, name in CITED_NAME.findall(text):
        module = ROOT / path
        if module.is_file() and not names_of(module).issuperset(name.split(".")):
            faults.append(f"{path}: {name}")
    faults += sorted(name for name in set(CITED_MODULE.findall(text)) if not is_module(name))
    numbers = {path.name[:4] for path in (ROOT / "docs/decisions").glob("*.md")}
    return faults + sorted(f"decision {number}" for number in set(CITED_DECISION.findall(text)) - numbers)


@pytest.mark.parametrize("file", [*PAGES, *MODULES], ids=lambda file: str(file.relative_to(ROOT)))
def test_what_is_cited_exists(file: Path) -> None:
    """Every path, module, function and decision that a page or a docstring names is there; the changelog is history."""
    if file == CHANGELOG:
        pytest.skip("the changelog tells of what was")

    assert [fault for text in texts(file) for fault in missing(text)] == []


def test_a_citation_of_what_is_not_there_is_found() -> None:
    """The check can fail, for each kind of citation."""
    text = "see core/search/nowhere.py, `core/dataset.py: Nobody`, core.search.nobody, and decision 9999"

    assert missing(text) == ["core/search/nowhere.py", "core/dataset.py: Nobody", "core.search.nobody", "decision 9999"]
