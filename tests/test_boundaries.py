"""Who may import whom, what importing the pack costs, and what no file may contain."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import HANG

STANDARD = set(sys.stdlib_module_names)
HOST = {"comfy", "comfy_api", "comfy_extras", "folder_paths", "nodes", "execution", "server", "latent_preview"}
TEST_FOLDERS = {"tests"}

# What each part may import besides itself and the standard library: our own parts, then foreign packages.
RULES = {
    "models": (set(), {"torch", "einops", "jaxtyping"}),
    "ip_adapter": ({"models"}, {"torch", "einops", "safetensors"}),
    "ip_adapter/download.py": ({"ip_adapter"}, {"huggingface_hub"}),
    "ip_adapter/model_folders.py": ({"ip_adapter"}, {"yaml"}),
    "ip_adapter/models_command": ({"ip_adapter"}, {"tqdm"}),
    "ip_adapter/weights/plot.py": ({"models"}, {"torch", "PIL"}),  # the host's imaging library, for text in pictures
    "ip_adapter/prompts/transformers_encoder.py": ({"models"}, {"torch", "transformers"}),
    "ip_adapter/faces/onnx.py": ({"models"}, {"torch", "onnxruntime"}),
    "ip_adapter/evaluation": ({"ip_adapter", "models"}, {"torch"}),
    "ip_adapter/training": ({"ip_adapter", "models"}, {"torch", "safetensors", "accelerate", "PIL", "tomli"}),
    "ip_adapter/training/rows.py": ({"ip_adapter"}, {"torch", "datasets"}),
    "ip_adapter/host": ({"ip_adapter", "models"}, {"torch", *HOST}),
    "nodes": ({"ip_adapter"}, {"comfy_api"}),
    "launcher": (set(), set()),
    "run.py": ({"launcher"}, set()),
    "docs": (set(), set()),
    "demo": ({"nodes", "ip_adapter", "models"}, None),
    "demo/thumbnails.py": ({"launcher"}, None),  # workflows are drawn by a server
    "benchmarks": ({"nodes", "ip_adapter", "models", "launcher"}, None),
    "__init__.py": ({"nodes"}, set()),
}


def part_of(path: Path) -> str:
    text = path.as_posix()
    return max((part for part in RULES if text == part or text.startswith(f"{part}/")), key=len)


def sources(root: Path) -> list[Path]:
    """Every Python file of the pack outside of the tests and hidden folders."""
    found = (path.relative_to(root) for path in root.rglob("*.py"))
    return sorted(
        path for path in found if path.parts[0] not in TEST_FOLDERS and not any(p.startswith(".") for p in path.parts)
    )


def imported(root: Path, path: Path):
    """Dotted names that a file imports anywhere in it, our own as "pack.models.linear"."""
    package = ["pack", *path.parts[:-1]]
    for node in ast.walk(ast.parse((root / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def forbidden_imports(root: Path, path: Path) -> list[str]:
    part = part_of(path)
    ours, foreign = RULES[part]
    wrong = []
    for name in imported(root, path):
        first, *rest = name.replace("ip_adapter_nodes.", "pack.").split(".")
        if first == "pack" or (part == "run.py" and first == "launcher"):
            target = first if first == "launcher" else rest[0]
            allowed = target in ours or target == part.split("/")[0]
            is_host = rest[:2] == ["ip_adapter", "host"] and part.startswith("ip_adapter") and part != "ip_adapter/host"
            allowed = allowed and not is_host
        else:
            allowed = first in STANDARD or foreign is None or first in foreign
        if not allowed:
            wrong.append(f"{path}: {name}")
    return wrong


def test_every_file_has_a_rule(root):
    known = {part.split("/")[0] for part in RULES}
    assert {path.parts[0] for path in sources(root)} <= known


def test_imports_follow_the_direction(root):
    wrong = [line for path in sources(root) for line in forbidden_imports(root, path)]
    assert wrong == []


def test_the_rule_sees_relative_and_late_imports(tmp_path):
    """The checks themselves, on a file that breaks every rule in another way."""
    (tmp_path / "models").mkdir()
    bad = [
        "import comfy.utils",
        "from ..nodes import load",
        "from ..ip_adapter.spec import Kind",
        "def f():\n    import numpy",
    ]
    (tmp_path / "models" / "bad.py").write_text("\n".join([*bad, "import math, torch", "from .shapes import Float"]))
    wrong = forbidden_imports(tmp_path, Path("models/bad.py"))
    assert [line.split(": ")[1] for line in wrong] == [
        "comfy.utils",
        "pack.nodes.load",
        "pack.ip_adapter.spec.Kind",
        "numpy",
    ]
    (tmp_path / "ip_adapter").mkdir()
    (tmp_path / "ip_adapter" / "bad.py").write_text(
        "from .host import apply\nfrom .spec import Kind\nimport folder_paths"
    )
    wrong = forbidden_imports(tmp_path, Path("ip_adapter/bad.py"))
    assert [line.split(": ")[1] for line in wrong] == ["pack.ip_adapter.host.apply", "folder_paths"]


IMPORT_ALL = """
import importlib, json, sys, types
root, *modules = sys.argv[1:]
package = types.ModuleType("ip_adapter_nodes")
package.__path__ = [root]
sys.modules["ip_adapter_nodes"] = package
for module in modules:
    importlib.import_module(f"ip_adapter_nodes.{module}")
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


OPTIONAL = {
    "transformers",
    "diffusers",
    "accelerate",
    "huggingface_hub",
    "insightface",
    "onnxruntime",
    "cv2",
    "skimage",
    "datasets",
}
OPTIONAL |= {"PIL"}


def test_core_loads_no_host_and_no_optional_library(root):
    core = ("models", "ip_adapter")
    files = [path for path in sources(root) if path.parts[0] in core and part_of(path) != "ip_adapter/host"]
    modules = [".".join(path.with_suffix("").parts) for path in files if path.name != "__init__.py"]
    assert len(modules) > 15
    command = [sys.executable, "-W", "error", "-c", IMPORT_ALL, str(root), *modules]
    result = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=False)
    assert result.returncode == 0, result.stderr
    loaded = set(json.loads(result.stdout))
    assert "torch" in loaded
    assert loaded & (HOST | OPTIONAL) == set()


def test_package_root_imports_almost_nothing(root):
    tree = ast.parse((root / "__init__.py").read_text(encoding="utf-8"))
    at_import = [
        name for node in tree.body if isinstance(node, ast.Import) for name in (alias.name for alias in node.names)
    ]
    at_import += [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert set(at_import) <= {"logging", "typing"}
    public = [
        node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    ]
    assert public == ["comfy_entrypoint"]


DEVICE_PROBE = "launcher/host.py"  # asks a foreign interpreter which device it has
FORBIDDEN = {
    "torch.cuda": (r"torch\.cuda\b", ("benchmarks", DEVICE_PROBE)),
    ".cuda()": (r"\.cuda\(", ()),
    "the name of a device": (r"""["']cuda(:\d+)?["']""", ("benchmarks", DEVICE_PROBE)),
    "double precision, which some devices lack": (
        r"\bfloat64\b|\.double\(",
        ("ip_adapter/patching/mask.py", "demo", "benchmarks"),
    ),
    "print": (
        r"(?<![\w.])print\(",
        ("run.py", "launcher", "docs/headless.py", "ip_adapter/models_command", "demo/training", "benchmarks"),
    ),
    "a pickle that may run code": (r"torch\.load\((?!.*weights_only=True)", ()),
    "pickle itself": (r"\bpickle\.loads?\(|\bimport pickle\b", ()),
    "an exception swallowed": (r"except[^\n]*:\s*\n?\s*pass\b", ()),
    "a path of one machine": (r"""["'](/home/|/root/|/work/|/Users/|[A-Z]:\\)""", ()),
}


def breaches(root: Path, what: str) -> list[str]:
    pattern, exempt = FORBIDDEN[what]
    found = []
    for path in sources(root):
        if path.as_posix().startswith(exempt or ("\0",)):
            continue
        text = (root / path).read_text(encoding="utf-8")
        found += [f"{path}:{text.count(chr(10), 0, match.start()) + 1}" for match in re.finditer(pattern, text)]
    return found


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_contains(root, what):
    assert breaches(root, what) == []


SAMPLES = {
    "torch.cuda": "torch.cuda.empty_cache()",
    ".cuda()": "x.cuda()",
    "the name of a device": 'x.to("cuda:0")',
    "double precision, which some devices lack": "x.double()",
    "print": "print(x)",
    "a pickle that may run code": "torch.load(path)",
    "pickle itself": "import pickle",
    "an exception swallowed": "except Exception:\n    pass",
    "a path of one machine": 'open("/home/me/x")',
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_what_is_forbidden_would_be_found(tmp_path, what):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "bad.py").write_text(f"a = 1\n{SAMPLES[what]}\n")
    assert breaches(tmp_path, what) == ["models/bad.py:2"]
