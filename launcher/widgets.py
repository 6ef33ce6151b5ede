"""Give the values that a saved workflow lists for a node their names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .errors import LauncherError

WIDGET_TYPES = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"})
SEED_NAMES = frozenset({"seed", "noise_seed"})
AFTER_GENERATE = frozenset({"fixed", "increment", "decrement", "randomize"})
UPLOAD_OPTIONS = ("image_upload", "video_upload", "audio_upload", "animated_image_upload")
UPLOAD_BUTTONS = frozenset({"image", "video", "audio", "upload"})


@dataclass(frozen=True)
class Widget:
    """One input that the frontend draws as a widget, with its options from /object_info."""

    name: str
    kind: str
    options: dict[str, Any]

    @property
    def has_control(self) -> bool:
        """Whether the frontend saves a second value after it: what happens to the seed after each run."""
        flagged = self.options.get("control_after_generate")
        return bool(flagged) if flagged is not None else self.kind == "INT" and self.name in SEED_NAMES

    @property
    def has_upload(self) -> bool:
        """Whether the frontend adds an upload button, whose caption it saves as one more value."""
        return any(self.options.get(option) for option in UPLOAD_OPTIONS)


def read_widgets(values: Any, info: dict[str, Any]) -> dict[str, Any]:
    """Widget values by input name, for a node that /object_info describes as `info`.

    `values` is what the workflow saved: a list in the order of the widgets, a mapping by name, or nothing. Widgets
    without a saved value get their default, as in the frontend.
    """
    if isinstance(values, dict):
        named: dict[str, Any] = values
        return {item.name: _wrap(named.get(item.name, _default(item))) for item in _all_widgets(info)}
    places, saved = widget_places(values, info), list(values or [])
    return {
        item.name: _wrap(saved[places[item.name]] if item.name in places else _default(item))
        for item in _all_widgets(info)
    }


def widget_places(values: Any, info: dict[str, Any]) -> dict[str, int]:
    """Where each widget's value stands in the list that a workflow saved; the frontend saves more than those."""
    rest = list(enumerate(values or []))
    required = _widgets(info, "required")
    result = _take(required, rest)
    # The upload button is added behind the required inputs, so its caption stands before the optional values.
    if any(item.has_upload for item in required) and rest and rest[0][1] in UPLOAD_BUTTONS:
        del rest[0]
    return result | _take(_widgets(info, "optional"), rest)


def _take(widgets: list[Widget], rest: list[tuple[int, Any]]) -> dict[str, int]:
    """Consume the values of `widgets` from the front of `rest`; the places of those that are there."""
    result: dict[str, int] = {}
    for item in widgets:
        if not rest:
            break
        result[item.name] = rest.pop(0)[0]
        if item.has_control and rest and rest[0][1] in AFTER_GENERATE:
            del rest[0]
            if item.kind == "COMBO" and rest and isinstance(rest[0][1], str):
                del rest[0]  # a combo's control brings a filter text along
    return result


def _all_widgets(info: dict[str, Any]) -> list[Widget]:
    return _widgets(info, "required") + _widgets(info, "optional")


def _widgets(info: dict[str, Any], section: str) -> list[Widget]:
    return list(_iterate_widgets(info["input"].get(section) or {}))


def _iterate_widgets(inputs: dict[str, Any]) -> Iterator[Widget]:
    for name, definition in inputs.items():
        kind, options = definition[0], dict(definition[1]) if len(definition) > 1 else {}
        if isinstance(kind, list):  # the older form of a combo: its choices stand in place of the type
            options.setdefault("options", kind)
            kind = "COMBO"
        kind = options.get("widgetType", kind)
        if kind in WIDGET_TYPES and not options.get("forceInput"):
            yield Widget(name, kind, options)


def _default(item: Widget) -> Any:
    choices = item.options.get("options") or []
    if "default" in item.options:
        return item.options["default"]
    if item.kind == "COMBO":
        if not choices:
            raise LauncherError(
                f"Reading a workflow: '{item.name}' has no saved value and the server offers no choice for it. "
                "Put a file into the folder it lists, or save the workflow again."
            )
        return choices[0]
    return {"INT": 0, "FLOAT": 0.0, "BOOLEAN": False}.get(item.kind, "")


def _wrap(value: Any) -> Any:
    """A list would be read as a link by the server, so the frontend wraps it."""
    return {"__value__": value} if isinstance(value, list) else value
