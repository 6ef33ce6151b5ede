"""Sizes that keep files readable: style limits counted by the syntax tree.

A function is as long as its lines from `def` to the end. Exempt are only tables, told by what they are and not by a
list of names: a node's `define_schema`, and the parameters of a node's `execute`, which are its sockets. Generated
`__init__`s of dataclasses are not written, so they are not counted.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

FILE_LINES, FUNCTION_LINES, PARAMETERS, NESTING, EXECUTE_LINES = 250, 40, 6, 3, 8
Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


@dataclass(frozen=True)
class Found:
    path: Path
    function: Function
    in_node: bool

    def __str__(self) -> str:
        return f"{self.path}:{self.function.lineno} {self.function.name}"


def sources(root: Path, *, tests: bool) -> list[Path]:
    """Every Python file outside of hidden folders, with or without the tests."""
    found = (path.relative_to(root) for path in root.rglob("*.py"))
    return sorted(
        path for path in found if (tests or path.parts[0] != "tests") and not any(p.startswith(".") for p in path.parts)
    )


def functions(root: Path, path: Path):
    tree = ast.parse((root / path).read_text(encoding="utf-8"))
    in_nodes = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and is_node(path, node)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield Found(path, node, id(node) in in_nodes)


def is_node(path: Path, node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Attribute) and base.attr == "ComfyNode" for base in node.bases)


def length(found: Found) -> int:
    return found.function.end_lineno - found.function.lineno + 1


def parameters(found: Found) -> int:
    given = found.function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def nesting(node: ast.AST) -> int:
    """How deep blocks stand in each other; an `elif` is no deeper than its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (Function, ast.ClassDef, ast.Lambda)):
            continue
        is_elif = isinstance(node, ast.If) and [child] == node.orelse and isinstance(child, ast.If)
        deepest = max(deepest, nesting(child) + (isinstance(child, BLOCKS) and not is_elif))
    return deepest


def too_long(found: Found) -> bool:
    return length(found) > FUNCTION_LINES and not (found.in_node and found.function.name == "define_schema")


def too_many_parameters(found: Found) -> bool:
    return parameters(found) > PARAMETERS and not (found.in_node and found.function.name == "execute")


def too_deep(found: Found) -> bool:
    return nesting(found.function) > NESTING


def execute_does_work(found: Found) -> bool:
    """The body of a node's `execute` is one call: short, and without arithmetic. Its parameters are its sockets."""
    if not (found.in_node and found.function.name == "execute"):
        return False
    works = any(isinstance(node, (ast.BinOp, ast.AugAssign, ast.For, ast.While)) for node in ast.walk(found.function))
    return works or found.function.end_lineno - found.function.body[0].lineno + 1 > EXECUTE_LINES


BUDGETS = {
    "function of at most 40 lines": too_long,
    "at most 6 parameters": too_many_parameters,
    "at most 3 blocks deep": too_deep,
    "an execute that only calls": execute_does_work,
}


@pytest.mark.parametrize("budget", BUDGETS)
def test_functions(root, budget):
    over = BUDGETS[budget]
    assert [str(found) for path in sources(root, tests=False) for found in functions(root, path) if over(found)] == []


def test_test_functions_are_short_too(root):
    tests = [path for path in sources(root, tests=True) if path.parts[0] == "tests"]
    assert [str(found) for path in tests for found in functions(root, path) if too_long(found)] == []


def test_files(root):
    counts = {path: len((root / path).read_text(encoding="utf-8").splitlines()) for path in sources(root, tests=True)}
    assert {path.as_posix(): lines for path, lines in counts.items() if lines > FILE_LINES} == {}


DEEP = "def f():\n for a in x:\n  if a:\n   while b:\n    with c:\n     pass\n"
LADDER = "def f():\n    if a:\n        x\n    elif b:\n        x\n    elif c:\n        x\n    elif d:\n        x\n"
NODE = "class N(io.ComfyNode):\n    @classmethod\n    def {}(cls, {}):\n        {}\n"
SEVEN = "a, b, c, d, e, f, g"
SAMPLES = {
    "long function": ("def f():\n" + "    x\n" * 40, {"function of at most 40 lines"}),
    "forty lines": ("def f():\n" + "    x\n" * 39, set()),
    "long method": ("class C:\n    def f(self):\n" + "        x\n" * 40, {"function of at most 40 lines"}),
    "long schema": (NODE.format("define_schema", "", "x\n" + "        x\n" * 60), set()),
    "many parameters": (f"def f({SEVEN}): ...", {"at most 6 parameters"}),
    "many sockets": (NODE.format("execute", SEVEN, "return host.do(a)"), set()),
    "sockets elsewhere": (f"class C:\n    def execute(self, {SEVEN}): ...", {"at most 6 parameters"}),
    "deep": (DEEP, {"at most 3 blocks deep"}),
    "ladder": (LADDER, set()),
    "arithmetic in a node": (NODE.format("execute", "a", "return a + 1"), {"an execute that only calls"}),
    "long execute": (NODE.format("execute", "a", "x\n" + "        x\n" * 8), {"an execute that only calls"}),
}


@pytest.mark.parametrize(("source", "broken"), SAMPLES.values(), ids=SAMPLES)
def test_the_budgets_themselves(tmp_path, source, broken):
    (tmp_path / "sample.py").write_text(source)
    found = list(functions(tmp_path, Path("sample.py")))
    assert {budget for budget, over in BUDGETS.items() if any(map(over, found))} == broken
