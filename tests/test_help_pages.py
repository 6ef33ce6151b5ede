"""The help pages: one per node and language, with a picture, and nothing in them that is not so."""

import ast
import json
import re
from collections import Counter

import pytest
from ip_adapter_nodes.launcher.interface_texts import help_copies
from PIL import Image

LANGUAGES = ("en", "zh", "ja")
REPOSITORY = "https://github.com/ip-adapter-nodes/ip-adapter-nodes/blob/main/"
LARGEST = 60 * 1024  # bytes of a picture


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request):
    return request.param


@pytest.fixture(scope="module")
def texts(root, language):
    return json.loads((root / "locales" / language / "nodeDefs.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def pages(root, texts, language):
    """Node ids and their pages in one language."""
    return {node: (root / "web" / "docs" / node / f"{language}.md").read_text("utf-8") for node in texts}


@pytest.fixture(scope="module")
def messages(root):
    """Every text of the core with its gaps as an ellipsis, as a help page quotes it."""
    trees = [ast.parse(path.read_text("utf-8")) for path in (root / "ip_adapter").rglob("*.py")]
    strings = [node for tree in trees for node in ast.walk(tree) if isinstance(node, (ast.JoinedStr, ast.Constant))]
    return [as_message(node) for node in strings if as_message(node)]


def as_message(node):
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    return node.value if isinstance(node.value, str) else ""


def names_of(node):
    return {entry["name"] for kind in ("inputs", "outputs") for entry in node[kind].values()}


def test_there_is_a_page_for_every_node_and_no_other(root, texts):
    assert {path.name for path in (root / "web" / "docs").iterdir() if path.is_dir()} == {*texts, "pictures"}


def test_other_languages_get_the_english_page(root):
    """The frontend looks for NODE/LOCALE.md, then for NODE.md."""
    copies = help_copies(root)
    assert {path: path.read_text("utf-8") for path in (root / "web" / "docs").glob("*.md")} == copies


def test_a_page_is_titled_like_its_node_and_has_its_parts(pages, texts):
    for node, page in pages.items():
        assert page.startswith(f"# {texts[node]['display_name']}\n"), node
        assert len(re.findall(r"^## ", page, re.MULTILINE)) == 3, node
        assert len(page) > 300, node


def test_a_page_shows_one_picture_that_is_there(root, pages):
    shown = {node: re.findall(r"!\[([^\"\]]+)\]\(([^)]+)\)", page) for node, page in pages.items()}
    assert {node: [path for _, path in found] for node, found in shown.items()} == {
        node: [f"pictures/{node}.jpg"] for node in pages
    }
    for node in pages:
        file = root / "web" / "docs" / "pictures" / f"{node}.jpg"
        assert file.stat().st_size < LARGEST
        with Image.open(file) as picture:
            assert min(picture.size) > 100
            assert max(high - low for low, high in picture.convert("RGB").getextrema()) > 100  # not one flat colour
    assert {path.stem for path in (root / "web" / "docs" / "pictures").iterdir()} == set(pages)


def test_links_lead_somewhere(root, pages):
    """Relative ones would be resolved against the frontend, not against the page."""
    for node, page in pages.items():
        for link in re.findall(r"(?<!!)\[[^\]]+\]\(([^)]+)\)", page):
            assert link.startswith(REPOSITORY), (node, link)
            assert (root / link.removeprefix(REPOSITORY)).is_file(), (node, link)


def test_templates_that_are_named_exist_and_hold_the_node(root, pages):
    for node, page in pages.items():
        for name in re.findall(r"`(\d\d_\w+)`", page):
            workflow = json.loads((root / "workflows" / f"{name}.json").read_text("utf-8"))
            assert node in {one["type"] for one in workflow["nodes"]}, name


def test_what_is_bold_stands_in_the_interface(pages, texts):
    known = {node["display_name"] for node in texts.values()}.union(*map(names_of, texts.values()))
    for node, page in pages.items():
        assert [name for name in re.findall(r"\*\*(.+?)\*\*", page) if name not in known] == [], node


def test_a_list_of_inputs_is_about_this_node(pages, texts):
    for node, page in pages.items():
        part = page.split("\n## ")[2]
        heads = [re.match(r"- ((?:\*\*[^*]+\*\*[,、 ]*)+)", line) for line in part.splitlines() if line[:2] == "- "]
        listed = [name for head in heads for name in re.findall(r"\*\*(.+?)\*\*", head[1])]
        assert listed, node
        assert [name for name in listed if name not in names_of(texts[node])] == [], node


def test_quoted_messages_are_what_the_core_says(pages, messages):
    for node, page in pages.items():
        for quote in re.findall(r'\*"([^"]+)"\*', page):
            pieces = [piece.strip() for piece in quote.split("…") if piece.strip(" :,")]
            assert any(in_order(pieces, message) for message in messages), (node, quote)


def in_order(pieces, message):
    for piece in pieces:
        _, found, message = message.partition(piece)
        if not found:
            return False
    return True


@pytest.mark.parametrize("other", LANGUAGES[1:])
def test_translations_say_as_much(root, other):
    """As many points and headings, and the same code, numbers of templates, quotations and links."""
    for page in (root / "web" / "docs").glob("*/en.md"):
        ours, theirs = page.read_text("utf-8"), page.with_name(f"{other}.md").read_text("utf-8")
        for pattern in (r"^(?:- |\d\. |## )", r"`[^`]+`", r'\*"[^"]+"\*', r"\]\(([^)]+)\)"):
            found = [Counter(re.findall(pattern, text, re.MULTILINE)) for text in (ours, theirs)]
            assert found[0] == found[1], (page.parent.name, pattern)
