"""What people do in the browser with mouse and keyboard: find a template, find a node, connect it, change it, run."""

import json
import os
from pathlib import Path

import pytest
from server_support.page import AS_PROMPT, FIT, OPEN, RUN, SET_WIDGETS, SHOWN, needs_browser, settle
from waiting import HANG

pytestmark = needs_browser

NAME = "01_first_image_prompt"
PLACE = [440, 560]  # in the workflow, where nothing stands once the node is taken out
IN_THE_NODE = [590, 560]  # once it stands there: newer frontends hold a node by the middle of its top
HELD = "() => (window.app.canvas.state?.ghostNodeId ?? null) !== null"
REMOVE = """types => { for (const type of types) {
    const node = window.app.graph._nodes.find(n => n.type === type); window.app.graph.remove(node) } }"""
ON_SCREEN = """place => { const canvas = window.app.canvas, box = canvas.canvas.getBoundingClientRect()
    const [x, y] = canvas.ds.convertOffsetToCanvas(place); return [x + box.left, y + box.top] }"""
SLOT = """([type, kind, name]) => { const node = window.app.graph._nodes.find(n => n.type === type)
    return node.getConnectionPos(kind === 'inputs', node[kind].findIndex(slot => slot.name === name)) }"""
WIDGET = """([type, name]) => { const node = window.app.graph._nodes.find(n => n.type === type)
    const widget = node.widgets.find(one => one.name === name)
    return [node.pos[0] + node.size[0] / 2, node.pos[1] + (widget.last_y ?? widget.y) + 10] }"""
TYPING = "document.activeElement instanceof HTMLInputElement"
# Of a list below an input, what Enter would take, as assistive technology is told.
OFFERED = """text => { const of = name => document.getElementById(document.activeElement.getAttribute(name) ?? '')
    const taken = of('aria-activedescendant') ?? of('aria-controls')?.querySelector('[aria-selected=true]')
    return taken?.textContent.includes(text) }"""
TEMPLATES = "() => window.app.extensionManager.command.execute('Comfy.BrowseTemplates')"
THUMBNAILS = "() => [...document.querySelectorAll('[role=dialog] img')].filter(one => one.naturalWidth).length"


@pytest.fixture
def keep(page, tmp_path):
    """A function that writes a screenshot."""
    folder = Path(os.environ.get("IP_ADAPTER_NODES_SCREENSHOTS", tmp_path))
    return lambda name: page.screenshot(path=folder / f"{name}.png")


@pytest.fixture
def with_a_gap(page, root, demo_table):
    """The first workflow on the demo family, without the node that encodes the picture."""
    page.evaluate(OPEN, json.loads((root / "workflows" / f"{NAME}.json").read_text("utf-8")))
    page.evaluate(SET_WIDGETS, demo_table(NAME))
    page.evaluate(REMOVE, ["EncodeImagePrompt", "PreviewImage"])
    page.evaluate(FIT)
    settle(page)  # the view glides there
    return page


def drag(page, start, end):
    page.mouse.move(*page.evaluate(ON_SCREEN, page.evaluate(SLOT, start)))
    page.mouse.down()
    page.mouse.move(*page.evaluate(ON_SCREEN, page.evaluate(SLOT, end)), steps=10)
    page.mouse.up()


def open_search(page):
    """Two clicks that a busy machine sees too far apart are no double click, so they are made again."""
    from playwright.sync_api import TimeoutError as TooLong

    for _ in range(int(HANG) // 5):
        page.mouse.dblclick(*page.evaluate(ON_SCREEN, PLACE))
        try:
            return page.wait_for_function(TYPING, timeout=5_000)
        except TooLong:
            continue
    raise AssertionError("The search box did not open.")


def test_a_node_is_found_connected_changed_and_run(with_a_gap, keep, server):
    page = with_a_gap
    server.request("/free", {"unload_models": True, "free_memory": True})  # what is cached has nothing to say
    open_search(page)
    page.keyboard.type("encode image prompt", delay=20)
    page.wait_for_function(OFFERED, arg="Encode Image Prompt")
    keep("by_hand_search")
    page.keyboard.press("Enter")
    page.wait_for_function("() => window.app.graph._nodes.some(n => n.type === 'EncodeImagePrompt')")
    page.wait_for_function(f"!({TYPING})")  # the node follows the mouse until the search box has closed
    if page.evaluate(HELD):  # in newer frontends until it is put down, too
        page.mouse.click(*page.evaluate(ON_SCREEN, IN_THE_NODE))
    settle(page)
    drag(page, ["CLIPVisionLoader", "outputs", "CLIP_VISION"], ["EncodeImagePrompt", "inputs", "clip_vision"])
    drag(page, ["LoadImage", "outputs", "IMAGE"], ["EncodeImagePrompt", "inputs", "image"])
    drag(page, ["EncodeImagePrompt", "outputs", "image_prompt"], ["ApplyIPAdapter", "inputs", "image_prompt"])
    page.mouse.click(*page.evaluate(ON_SCREEN, page.evaluate(WIDGET, ["ApplyIPAdapter", "weight"])))
    page.locator(".graphdialog input.value").fill("0.85")
    page.keyboard.press("Enter")
    (ours,) = (node for node in page.evaluate(AS_PROMPT).values() if node["class_type"] == "ApplyIPAdapter")
    assert ours["inputs"]["weight"] == 0.85
    assert page.evaluate(RUN) == "success"
    page.get_by_text("by tensor shapes").wait_for()  # Load IP-Adapter says what the file is
    page.evaluate(FIT)
    page.wait_for_function(SHOWN)
    keep("by_hand_run")


def test_the_template_browser_offers_ours_with_thumbnails(page, root, keep):
    page.evaluate("() => window.app.graph.clear()")  # another test's graph is no sign of the template
    page.evaluate(TEMPLATES)
    dialog = page.locator("[role=dialog]")
    dialog.get_by_text("ip-adapter-nodes").first.click()
    dialog.get_by_text("01_first_image_prompt").wait_for()
    page.wait_for_function(f"() => ({THUMBNAILS})() >= 4")
    keep("by_hand_templates")
    dialog.get_by_text("01_first_image_prompt").click()
    content = json.loads((root / "workflows" / f"{NAME}.json").read_text("utf-8"))
    page.wait_for_function("count => window.app.graph._nodes.length === count", arg=len(content["nodes"]))
