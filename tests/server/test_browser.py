"""The shipped workflows in a real browser: opened, changed, run and looked at."""

import json
import os
from pathlib import Path

import pytest
from ip_adapter_nodes.launcher.workflow import convert

BROWSER = os.environ.get("IP_ADAPTER_NODES_BROWSER")
pytestmark = pytest.mark.skipif(not BROWSER, reason="no browser was found: these tests were not run")

WORKFLOWS = sorted((Path(__file__).resolve().parents[2] / "workflows").glob("*.json"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
READY = "window.app && window.app.graph && window.app.extensionManager"
OPEN = (
    "async workflow => { await window.app.loadGraphData(workflow, true, true); return window.app.graph._nodes.length }"
)
PROBLEMS = """() => window.app.graph._nodes.filter(n => n.has_errors || !n.constructor.nodeData && !n.isVirtualNode)
    .map(n => n.type)"""
AS_PROMPT = "async () => (await window.app.graphToPrompt()).output"
SET_WIDGETS = """table => { for (const node of window.app.graph._nodes) for (const widget of node.widgets ?? []) {
    const value = table[`${node.title}.${widget.name}`] ?? table[`${node.type}.${widget.name}`]
    if (value !== undefined) widget.value = value } }"""
RUN = """() => new Promise((resolve, reject) => {
    window.app.api.addEventListener('execution_success', () => resolve('success'))
    window.app.api.addEventListener('execution_error', e => reject(new Error(e.detail.exception_message)))
    window.app.queuePrompt(0, 1) })"""
SHOWN = "() => window.app.graph._nodes.filter(n => n.type === 'SaveImage' && n.imgs?.length).length"
FIT = "() => window.app.extensionManager.command.execute('Comfy.Canvas.FitView')"
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Workflow.ShowMissingModelsWarning": False}


@pytest.fixture(scope="module")
def page(server):
    from playwright.sync_api import sync_playwright

    server.request("/api/settings", SETTINGS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        context = browser.new_context(viewport={"width": 1700, "height": 1000})
        context.add_init_script("localStorage.setItem('vueNodesBannerDismissed', 'true')")
        context.route("**/*", lambda route: route.continue_() if server.url in route.request.url else route.abort())
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda entry: page.complaints.append(entry.text) if entry.type == "error" else None)
        page.goto(server.url, timeout=120_000)
        page.wait_for_function(READY, timeout=120_000)
        page.wait_for_timeout(1500)
        yield page
        browser.close()


@pytest.fixture(params=WORKFLOWS, ids=lambda file: file.stem)
def workflow(request):
    return request.param.stem, json.loads(request.param.read_text("utf-8"))


def as_values(graph):
    """A graph's inputs with numbers as numbers: the browser knows no difference between 1 and 1.0."""
    return {key: (node["class_type"], node["inputs"]) for key, node in graph.items()}


def test_opens_runs_and_shows_its_picture(page, server, workflow, demo_table, tmp_path):
    name, content = workflow
    assert page.evaluate(OPEN, content) == len(content["nodes"])
    assert page.evaluate(PROBLEMS) == []
    assert as_values(page.evaluate(AS_PROMPT)) == as_values(convert(content, server.object_info()))
    page.evaluate(SET_WIDGETS, demo_table(name))
    page.evaluate(FIT)  # a node that is out of sight does not load its picture
    assert page.evaluate(RUN) == "success"
    page.wait_for_function(SHOWN, timeout=30_000)
    page.keyboard.press("Escape")
    page.evaluate(FIT)
    page.wait_for_timeout(1000)
    picture = Path(os.environ.get("IP_ADAPTER_NODES_SCREENSHOTS", tmp_path)) / f"{name}.png"
    page.screenshot(path=picture)
    assert picture.stat().st_size > 20_000
    assert [text for text in page.complaints if "ip-adapter" in text.lower()] == []
