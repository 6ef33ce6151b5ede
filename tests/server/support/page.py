"""The frontend in a real browser: how it is opened, and what is asked of it there."""

import os

import pytest

BROWSER = os.environ.get("IP_ADAPTER_NODES_BROWSER")
needs_browser = pytest.mark.skipif(not BROWSER, reason="no browser was found: these tests were not run")

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
ALERTS = """() => [...document.querySelectorAll('.p-toast-message, .p-dialog')].map(one => one.textContent)
    .filter(text => !text.includes('Version Compatibility'))"""
AS_PROMPT = "async () => (await window.app.graphToPrompt()).output"
SET_WIDGETS = """table => { for (const node of window.app.graph._nodes) for (const widget of node.widgets ?? []) {
    const value = table[`${node.title}.${widget.name}`] ?? table[`${node.type}.${widget.name}`]
    if (value !== undefined) widget.value = value } }"""
RUN = """() => new Promise((resolve, reject) => {
    window.app.api.addEventListener('execution_success', () => resolve('success'))
    window.app.api.addEventListener('execution_error', e => reject(new Error(e.detail.exception_message)))
    window.app.queuePrompt(0, 1).then(() => { const refused = window.app.lastNodeErrors
        if (Object.keys(refused ?? {}).length) reject(new Error(JSON.stringify(refused))) }) })"""
SHOWN = "() => window.app.graph._nodes.every(n => n.type !== 'SaveImage' || n.imgs?.length)"
FIT = "() => window.app.extensionManager.command.execute('Comfy.Canvas.FitView')"
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Workflow.ShowMissingModelsWarning": False}


def open_frontend(browser, server):
    """A page on which the frontend is ready; its errors gather in `complaints`."""
    context = browser.new_context(viewport={"width": 1700, "height": 1000})
    context.add_init_script("localStorage.setItem('vueNodesBannerDismissed', 'true')")
    context.route("**/*", lambda route: route.continue_() if server.url in route.request.url else route.abort())
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda entry: page.complaints.append(entry.text) if entry.type == "error" else None)
    page.goto(server.url, timeout=120_000)
    page.wait_for_function(READY, timeout=120_000)
    page.wait_for_timeout(1500)
    return page
