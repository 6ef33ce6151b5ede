"""Who may import whom, what importing the pack costs, and what no file may contain."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sources import imported, sources
from waiting import HANG

STANDARD = set(sys.stdlib_module_names)
HOST = {"comfy", "comfy_api", "comfy_extras", "folder_paths", "nodes", "execution", "server", "latent_preview"}
WORDS = {"errors", "enums", "caches", "spec"}  # files of ip_adapter that everybody may use
# What each folder of the core may import besides itself, the words, models and the standard library: other folders (and
# files) of the core, then foreign packages. In the order of the strata: a line uses only what stands above it.
CORE = {
    "errors": (set(), set()),
    "enums": ({"errors"}, set()),
    "caches": (set(), {"torch"}),
    "spec": (set(), set()),
    "files": (set(), {"torch", "safetensors"}),
    "bases": (set(), {"torch"}),
    "attention": ({"bases"}, {"torch"}),
    "recognition": ({"files", "bases"}, {"torch"}),
    "weights": ({"bases"}, {"torch", "PIL"}),  # PIL is the host's imaging library, for text in pictures
    "prompts": ({"files", "bases", "weights"}, {"torch", "safetensors", "transformers"}),
    "adapter": ({"files", "bases", "attention", "recognition", "weights", "prompts"}, {"torch"}),
    "faces": ({"files", "bases", "prompts", "adapter"}, {"torch", "safetensors", "onnxruntime"}),
    "library": ({"files", "bases", "recognition", "adapter", "faces"}, {"safetensors", "huggingface_hub", "yaml"}),
    "applying": ({"bases", "attention", "weights", "prompts", "adapter", "faces", "library"}, {"torch"}),
    "training": (
        {"bases", "attention", "recognition", "weights", "prompts", "adapter", "faces", "library"},
        {"torch", "safetensors", "accelerate", "datasets", "PIL", "tomli"},
    ),
    "evaluation": ({"weights", "prompts", "faces", "training"}, {"torch"}),
    "attention_maps": ({"bases", "attention", "weights", "applying"}, {"torch"}),
    "host": (
        {
            *("files", "bases", "attention", "recognition", "weights", "prompts", "adapter", "faces", "library"),
            *("applying", "training", "attention_maps"),
        },
        {"torch", *HOST},
    ),
    "tasks": (
        {"files", "weights", "prompts", "adapter", "faces", "applying", "training", "evaluation", "host"},
        {"torch", *HOST},
    ),
}
# What each part of the repository may import besides itself and the standard library: our own parts, then foreign
# packages.
RULES = {
    "models": (set(), {"torch", "einops", "jaxtyping"}),
    "ip_adapter": (set(), set()),
    **{f"ip_adapter/{name}": ({"models", "ip_adapter"}, foreign) for name, (_, foreign) in CORE.items()},
    "nodes": ({"ip_adapter", "models"}, {"comfy_api"}),
    "cli": ({"ip_adapter"}, {"torch", "tqdm", *HOST}),
    "launcher": (set(), set()),
    "run.py": ({"launcher"}, set()),
    "docs": (set(), set()),
    "demo": ({"nodes", "ip_adapter", "models", "cli"}, None),
    "demo/thumbnails.py": ({"launcher"}, None),  # workflows are drawn by a server
    "benchmarks": ({"nodes", "ip_adapter", "models", "launcher"}, None),
    "__init__.py": ({"nodes"}, set()),
}


def part_of(path: Path) -> str:
    text = path.as_posix()
    # A file of the core by itself is a part under its name.
    names = (text, text.removesuffix(".py"))
    return max((part for part in RULES if part in names or text.startswith(f"{part}/")), key=len)


def forbidden_imports(root: Path, path: Path) -> list[str]:
    part = part_of(path)
    ours, foreign = RULES[part]
    wrong = []
    for name in imported(root, path):
        first, *rest = name.replace("ip_adapter_nodes.", "pack.").split(".")
        if first == "pack" or (part == "run.py" and first == "launcher"):
            target = first if first == "launcher" else rest[0]
            allowed = target in ours or target == part.split("/")[0]
            if target == "ip_adapter" and part.startswith("ip_adapter/"):
                own = part.removeprefix("ip_adapter/")
                allowed = rest[1] in CORE[own][0] | WORDS | {own}
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
    (tmp_path / "ip_adapter" / "weights").mkdir(parents=True)
    (tmp_path / "ip_adapter" / "weights" / "bad.py").write_text(
        "from ..host import apply\nfrom ..spec import AdapterSpec\nimport folder_paths"
    )
    wrong = forbidden_imports(tmp_path, Path("ip_adapter/weights/bad.py"))
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


INSIDE = {"ip_adapter/host", "ip_adapter/tasks"}


def test_core_loads_no_host_and_no_optional_library(root):
    core = ("models", "ip_adapter")
    files = [path for path in sources(root) if path.parts[0] in core and part_of(path) not in INSIDE]
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
        ("ip_adapter/attention/region.py", "demo", "benchmarks"),
    ),
    "print": (
        r"(?<![\w.])print\(",
        ("run.py", "launcher", "docs/headless.py", "cli/models", "demo/training", "benchmarks"),
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
