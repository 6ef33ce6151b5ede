"""What the server tells about the nodes, and what a real browser makes of it: names, labels and help in languages."""

import json
import os
import re
from pathlib import Path

import pytest
from ip_adapter_nodes.launcher.interface_texts import ENGLISH, as_file, english_texts
from server_support.page import SETTINGS, needs_browser, new_context, open_frontend

PACK = "ip-adapter-nodes"
PLACE = """type => {
    const {graph, canvas} = window.app
    graph.clear()
    const node = LiteGraph.createNode(type)
    graph.add(node)
    Object.assign(canvas.ds, {scale: 1, offset: [600, 250]})
    canvas.selectNode(node)
    canvas.draw(true, true)
    return {title: node.title,
            inputs: Object.fromEntries(node.inputs.map(one => [one.name, one.localized_name])),
            widgets: Object.fromEntries((node.widgets ?? []).map(one => [one.name, one.label])),
            outputs: node.outputs.map(one => one.localized_name)} }"""
TRANSLATED = """() => LiteGraph.createNode('KSampler').inputs.some(one => /[^\\x00-\\x7f]/.test(one.localized_name))"""
PICTURES = (
    """() => [...document.querySelectorAll('.node-help-content img')].map(one => one.complete && one.naturalWidth)"""
)


@pytest.fixture
def open_page(browser, server):
    """A function from a language and what /i18n should say to a page with the frontend."""
    with new_context(browser, server, viewport={"width": 1500, "height": 900}, locale="en-US") as context:

        def opened(language, texts):
            server.request("/api/settings", SETTINGS | {"Comfy.Locale": language})
            context.route("**/i18n", lambda route: route.fulfill(json=texts))
            page = open_frontend(context, server)
            if language != "en":  # others are loaded beside everything else
                page.wait_for_function(TRANSLATED)
            return page

        yield opened
    server.request("/api/settings", {"Comfy.Locale": "en"})


def texts_of(root, language):
    return json.loads((root / "locales" / language / "nodeDefs.json").read_text("utf-8"))


def keep(page, name, folder):
    page.screenshot(path=Path(os.environ.get("IP_ADAPTER_NODES_SCREENSHOTS", folder)) / f"{name}.png")


def test_the_english_texts_are_those_of_the_schemas(root, server):
    """If not: `python3 run.py dev texts`."""
    assert (root / ENGLISH).read_text("utf-8") == as_file(english_texts(server.object_info()))


def options_named(spec, tooltip):
    """Options of an input that its tooltip speaks of."""
    options = spec[1].get("options") or (spec[0] if isinstance(spec[0], list) else [])
    return [name for name in map(str, options) if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", tooltip)]


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_options_that_are_explained_are_named_as_the_widget_shows_them(root, server, language):
    english, other, info = texts_of(root, "en"), texts_of(root, language), server.object_info()
    explained = 0
    for node, texts in english.items():
        inputs = info[node]["input"]["required"] | info[node]["input"].get("optional", {})
        for name, entry in texts["inputs"].items():
            named = options_named(inputs[name], entry["tooltip"])
            explained += len(named)
            assert [one for one in named if one not in other[node]["inputs"][name]["tooltip"]] == [], (node, name)
    assert explained > 30


def test_the_server_hands_out_every_language_and_page(root, server):
    told = server.get("/i18n")
    for language in ("en", "zh", "ja"):
        ours = texts_of(root, language)
        assert {node: told[language]["nodeDefs"][node] for node in ours} == ours
    for page in sorted((root / "web").rglob("*.*")):
        place = page.relative_to(root / "web").as_posix()
        assert server.request(f"/extensions/{PACK}/{place}") == page.read_bytes()


def test_the_host_s_search_is_told_other_names(server):
    """Where the host's schemas know aliases; elsewhere there is nothing to tell."""
    info = server.object_info()
    aliases = {node: set(info[node].get("search_aliases") or ()) for node in ("ApplyIPAdapter", "LoadIPAdapter")}
    expected = [{"IPAdapter", "IPAdapter Advanced"}, {"IPAdapter Unified Loader"}]
    known = any("search_aliases" in node for node in info.values())
    assert [names >= wanted for names, wanted in zip(aliases.values(), expected, strict=True)] == [known, known]


@needs_browser
@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_and_title_are_in_the_chosen_language(open_page, server, root, tmp_path, language):
    """The title wherever the frontend keeps any pack's texts, which a text for the host's own sampler tells.

    Some forget those of languages loaded later: https://github.com/Comfy-Org/ComfyUI_frontend/issues/6748
    """
    told = server.get("/i18n")
    told[language]["nodeDefs"]["KSampler"] = {"display_name": "a probe"}
    page = open_page(language, told)
    keeps = page.evaluate("LiteGraph.createNode('KSampler').title") == "a probe"
    shown = texts_of(root, language if keeps else "en")
    for node in sorted(shown) if language == "en" else ("ApplyIPAdapter", "LayerWeights"):
        assert page.evaluate(PLACE, node)["title"] == shown[node]["display_name"]
        page.locator("[data-testid=info-button]").click()
        text = (root / "web" / "docs" / node / f"{language}.md").read_text("utf-8")
        page.locator(".node-help-content h1", has_text=texts_of(root, language)[node]["display_name"]).wait_for()
        page.wait_for_function(f"({PICTURES})().some(Boolean)")
        assert len(page.evaluate(PICTURES)) == 1
        assert page.locator(".node-help-content li").count() == len(re.findall(r"^(?:- |\d\. )", text, re.MULTILINE))
        keep(page, f"help_{node}_{language}", tmp_path)
    assert [url for url in page.failures if PACK in url] == []


@needs_browser
def test_a_node_speaks_chinese(open_page, root, tmp_path):
    """Under the language that every frontend has loaded at start and so keeps."""
    texts = texts_of(root, "zh")
    page = open_page("en", {"en": {"nodeDefs": texts}})
    for node in ("ApplyIPAdapter", "AnalyzeFaces"):
        ours, shown = texts[node], page.evaluate(PLACE, node)
        names = {key: entry["name"] for key, entry in ours["inputs"].items()}
        assert shown["title"] == ours["display_name"]
        assert shown["inputs"] == names
        assert shown["widgets"] == {key: names[key] for key in shown["widgets"]}
        assert shown["outputs"] == [entry["name"] for entry in ours["outputs"].values()]
        keep(page, f"node_{node}", tmp_path)
    assert names["confidence"] == "置信度"
