"""Where a ComfyUI keeps adapter files, read from its folders and its `extra_model_paths.yaml` without starting it."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import AdapterError

EXTRA_PATHS = "extra_model_paths.yaml"
# What adapter packs call their folder and their key: ipadapter, ip_adapter, ipadapter-flux, IPAdapters ...
_ADAPTERS = re.compile(r"ip[-_ ]?adapters?([-_ ].+)?", re.IGNORECASE)
_OTHERS = ("xlabs/ipadapters", "instantid")


class ModelFoldersError(AdapterError):
    """The host's list of model folders cannot be read."""


def adapter_folders(host: Path) -> list[Path]:
    """Every folder in which the ComfyUI at `host` may keep adapters, of whichever pack, that is there.

    Raises ModelFoldersError when its extra_model_paths.yaml cannot be read.
    """
    models = host / "models"
    own = sorted(path for path in models.iterdir() if _ADAPTERS.fullmatch(path.name)) if models.is_dir() else []
    others = [models / name for name in _OTHERS]
    extra = [path for key, path in _extra_paths(host / EXTRA_PATHS) if _ADAPTERS.fullmatch(key) or key in _OTHERS]
    return [path for path in dict.fromkeys([*own, *others, *extra]) if path.is_dir()]


def _extra_paths(config: Path) -> Iterator[tuple[str, Path]]:
    """Key and folder of every line. As in the host, a base may be relative to the file, and a value have several."""
    for section in _sections(config):
        base = section.pop("base_path", None)
        root = config.parent / os.path.expandvars(os.path.expanduser(str(base or "")))
        texts = {key: value for key, value in section.items() if isinstance(value, str)}
        lines = ((key, line.strip()) for key, value in texts.items() for line in value.split("\n"))
        yield from ((key, Path(os.path.normpath(root / line))) for key, line in lines if line)


def _sections(config: Path) -> list[dict[str, Any]]:
    if not config.is_file():
        return []
    import yaml

    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise ModelFoldersError(f"{config} cannot be read ({error}). Fix it; ComfyUI needs it too.") from error
    sections = content.values() if isinstance(content, Mapping) else ()
    return [{str(key): value for key, value in part.items()} for part in sections if isinstance(part, Mapping)]
