"""The frontend in a real browser: how it is opened, and what is asked of it there."""

import os
from contextlib import contextmanager

import pytest
from waiting import HANG

BROWSER = os.environ.get("IP_ADAPTER_NODES_BROWSER")
needs_browser = pytest.mark.browser  # left out where there is none: see tests/conftest.py

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT = 1000 * HANG  # of everything that Playwright waits for, in its milliseconds
# The workflow that the frontend opens by itself would take the place of a test's, and a run is followed by its client.
READY = "window.app && window.app.api.clientId && window.app.extensionManager?.workflow.activeWorkflow"
OPEN = (
    "async workflow => { await window.app.loadGraphData(workflow, true, true); return window.app.graph._nodes.length }"
)
# Newer frontends mark a node whose file is not here, as they should: the workflows name published files.
PROBLEMS = """() => {
    const called = values => typeof values === 'function' ? values() : values
    const values = widget => called(widget.options?.values)
    const misses = node => (node.widgets ?? []).some(w => values(w) && !values(w).includes(w.value))
    return window.app.graph._nodes.filter(
        n => n.has_errors && !misses(n) || !n.constructor.nodeData && !n.isVirtualNode).map(n => n.type) }"""
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
SETTLED = """() => new Promise(resolve => {
    const {ds} = window.app.canvas
    let view, still = 0
    const look = () => { const now = [...ds.offset, ds.scale].join()
        still = now === view ? still + 1 : 0; view = now
        if (still < 5) requestAnimationFrame(look); else resolve() }
    look() })"""
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Workflow.ShowMissingModelsWarning": False}


@contextmanager
def new_context(browser, server, **options):
    """A context for pages of the frontend, which reach nothing but the server."""
    context = browser.new_context(**options)
    context.set_default_timeout(TIMEOUT)
    context.add_init_script("localStorage.setItem('vueNodesBannerDismissed', 'true')")
    context.route("**/*", lambda route: route.continue_() if server.url in route.request.url else route.abort())
    yield context
    context.unroute_all(behavior="ignoreErrors")  # nobody waits for answers that are under way
    context.close()


def open_frontend(context, server):
    """A page on which the frontend is ready; its errors gather in `complaints`, addresses that failed in `failures`."""
    page = context.new_page()
    page.complaints, page.failures = [], []
    page.on("console", lambda entry: page.complaints.append(entry.text) if entry.type == "error" else None)
    page.on("response", lambda answer: page.failures.append(answer.url) if answer.status >= 400 else None)
    page.goto(server.url)
    page.wait_for_function(READY)
    settle(page)
    return page


def settle(page):
    """Wait until the view glides no more and what has changed is drawn: told by frames, however long they take."""
    page.evaluate(SETTLED)
