"""Turn a saved workflow (what the ComfyUI frontend writes) into the graph that a server's /prompt accepts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .errors import LauncherError
from .widgets import read_widgets

Json: TypeAlias = dict[str, Any]
Graph: TypeAlias = dict[str, Json]
Source: TypeAlias = tuple[str, int]  # (node id, output slot)

FRONTEND_ONLY = frozenset({"Note", "MarkdownNote", "Reroute", "PrimitiveNode"})
MUTED, BYPASSED = 2, 4  # the frontend's node modes that change what runs


@dataclass(frozen=True)
class Constant:
    """What a primitive node sends instead of a link."""

    value: Any


@dataclass(frozen=True)
class Sheet:
    """A saved workflow, indexed: nodes by id, and for each link id where it comes from."""

    nodes: dict[str, Json]
    links: dict[int, Source] = field(default_factory=dict[int, Source])

    def source(self, link: int | None) -> Source | Constant | None:
        """The executed node behind `link`, past reroutes, primitives and bypassed nodes; None if nothing arrives."""
        seen: set[int] = set()
        while link is not None and link in self.links and link not in seen:
            seen.add(link)
            node_id, slot = self.links[link]
            node = self.nodes.get(node_id)
            if node is None or node.get("mode", 0) == MUTED:
                return None
            if node["type"] == "PrimitiveNode":
                values = node.get("widgets_values") or [None]
                return Constant(values[0])
            if node["type"] == "Reroute":
                link = _first_link(node)
            elif node.get("mode", 0) == BYPASSED:
                link = _bypass(node, slot)
            else:
                return node_id, slot
        return None


def convert(workflow: Json, object_info: Mapping[str, Json]) -> Graph:
    """The API graph of `workflow`, given the server's `/object_info`.

    Notes, reroutes, primitives, muted and bypassed nodes do not appear in it. Raises LauncherError for a file that is
    no saved workflow, and for node types that the server does not have.
    """
    if not isinstance(workflow.get("nodes"), list):
        raise LauncherError(
            "Reading a workflow: the file has no list of 'nodes', so it was not saved by ComfyUI's 'Save'. "
            "Use the plain workflow, not its API export."
        )
    sheet = _read_sheet(workflow)
    runnable = {node_id: node for node_id, node in sheet.nodes.items() if _runs(node)}
    missing = sorted({str(node["type"]) for node in runnable.values()} - set(object_info))
    if missing:
        raise LauncherError(
            f"Reading a workflow: the server has no node of type {', '.join(missing)}. "
            "Install the pack it belongs to, or look in the server's log for why that pack did not load. "
            "Workflows with subgraphs cannot be converted here."
        )
    return {node_id: _convert_node(node, sheet, object_info[node["type"]]) for node_id, node in runnable.items()}


def substitute(graph: Graph, table: Mapping[str, Any]) -> Graph:
    """A copy of `graph` with widget values replaced.

    A key of `table` is "NodeType.input" or "Node's title.input"; where both are there, the title decides. Its value
    replaces whatever stands there; a mapping {old: new} replaces only the values it lists. Linked inputs are never
    touched.
    """
    result = copy.deepcopy(graph)
    for node in result.values():
        owners = (node["class_type"], node["_meta"]["title"])
        for name, value in node["inputs"].items():
            if not isinstance(value, list):
                node["inputs"][name] = replaced(value, [f"{owner}.{name}" for owner in owners], table)
    return result


def replaced(value: Any, keys: list[str], table: Mapping[str, Any]) -> Any:
    """What `table` puts in the place of `value`, which goes by these keys; the last one decides."""
    for key in keys:
        replacement = table.get(key, value)
        value = replacement.get(value, value) if isinstance(replacement, Mapping) else replacement
    return value


def _runs(node: Json) -> bool:
    return node["type"] not in FRONTEND_ONLY and node.get("mode", 0) not in (MUTED, BYPASSED)


def _read_sheet(workflow: Json) -> Sheet:
    sheet = Sheet({str(node["id"]): node for node in workflow["nodes"]})
    for link in workflow.get("links") or []:
        # Up to format 0.4 a link is a list, from 1.0 on an object.
        if isinstance(link, dict):
            number, origin, slot = link["id"], link["origin_id"], link["origin_slot"]
        else:
            number, origin, slot = link[:3]
        sheet.links[int(number)] = (str(origin), int(slot))
    return sheet


def _convert_node(node: Json, sheet: Sheet, info: Json) -> Json:
    inputs = read_widgets(node.get("widgets_values"), info)
    for socket in node.get("inputs") or []:
        if socket.get("link") is None:
            continue
        source = sheet.source(socket["link"])
        if isinstance(source, Constant):
            inputs[socket["name"]] = source.value
        elif source is not None:
            inputs[socket["name"]] = list(source)
    return {"class_type": node["type"], "inputs": inputs, "_meta": {"title": node.get("title") or node["type"]}}


def _first_link(node: Json) -> int | None:
    sockets = node.get("inputs") or []
    return sockets[0].get("link") if sockets else None


def _bypass(node: Json, slot: int) -> int | None:
    """The link that a bypassed node passes on at output `slot`: same place if the types agree, else the first such."""
    wanted = node["outputs"][slot]["type"]
    sockets = node.get("inputs") or []
    same_place = sockets[slot : slot + 1]
    for socket in [*same_place, *sockets]:
        if socket.get("type") in (wanted, "*") and socket.get("link") is not None:
            return socket["link"]
    return None
