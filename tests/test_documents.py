"""What the repository says about itself: links lead somewhere, and every workflow is listed with its question."""

import re
from pathlib import Path

import pytest

SKIPPED = {"node_modules", "ip-adapter-demo"}
CODE = re.compile(r"^(`{3,}|~{3,}).*?^\1\s*?$|``[^`\n]+``|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|(?:src|href)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
NAMED = re.compile(r"<a\s+(?:id|name)=\"([^\"]+)\"")
ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:")
ROW = re.compile(r"^\| \[?`(\d\d_\w+)`[^|]*\| ([^|]+\?) \|$", re.MULTILINE)
BOLD = re.compile(r"\*\*([^*]+)\*\*")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
HELP_PAGES = Path("web/docs")  # the frontend resolves links of NODE/LANGUAGE.md against this folder


def documents(root: Path) -> list[Path]:
    """Every Markdown file outside of hidden folders, as seen from the root."""
    found = (path.relative_to(root) for path in root.rglob("*.md"))
    return sorted(p for p in found if not any(part.startswith(".") or part in SKIPPED for part in p.parts))


def links(text: str) -> list[str]:
    return [one or other for one, other in LINK.findall(CODE.sub("", text)) if not ELSEWHERE.match(one or other)]


def anchors(text: str) -> set[str]:
    """The names under which GitHub offers the headings of a page."""
    outside = re.sub(r"^(`{3,}).*?^\1\s*?$", "", text, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, int] = {}
    result = set(NAMED.findall(text))
    for heading in HEADING.findall(outside):
        words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "").lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        result.add(f"{name}-{names[name]}" if name in names else name)
        names[name] = names.get(name, 0) + 1
    return result


def broken(root: Path, page: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    base = HELP_PAGES if page.is_relative_to(HELP_PAGES) else page.parent
    wrong = []
    for link in links((root / page).read_text("utf-8")):
        path, _, anchor = link.partition("#")
        target = root / base / path if path else root / page
        missing = anchor and target.suffix == ".md" and target.is_file()
        if not target.exists() or (missing and anchor not in anchors(target.read_text("utf-8"))):
            wrong.append(f"{page}: {link}")
    return wrong


def test_every_relative_link_and_anchor_leads_somewhere(root):
    pages = documents(root)
    assert {Path("README.md"), Path("CONTRIBUTING.md"), Path("docs/faceid.md")} <= set(pages)
    assert [line for page in pages for line in broken(root, page)] == []


def test_the_readme_leads_to_every_page(root):
    linked = {link.partition("#")[0] for link in links((root / "README.md").read_text("utf-8"))}
    assert {page.relative_to(root).as_posix() for page in (root / "docs").glob("*.md")} <= linked


def test_how_it_works_leads_into_the_code(root):
    """The files that a weight, a picture and a file pass; that each is there, the test of links sees."""
    passed = [link for link in links((root / "docs" / "how_it_works.md").read_text("utf-8")) if link.endswith(".py")]
    rooms = {Path(link).parts[1:-1] for link in passed}
    for room in ("host", "applying", "weights", "attention", "prompts", "bases", "files", "recognition"):
        assert ("ip_adapter", room) in rooms
    assert {("nodes",), ("models",)} <= rooms


def test_every_room_has_a_row_in_the_table_of_rooms(root):
    table = (root / "CONTRIBUTING.md").read_text("utf-8").split("## Where does my code go?")[1].split("\n## ")[0]
    folders = {path.parent.relative_to(root).parts[:2] for path in root.rglob("__init__.py") if path.parent != root}
    rooms = {"/".join(parts if parts[0] == "ip_adapter" else parts[:1]) for parts in folders} - {"ip_adapter", "tests"}
    assert len(rooms) > 15
    assert sorted(room for room in rooms if f"`{room}/`" not in table and f"({room}/README.md)" not in table) == []


def test_files_named_in_the_table_of_rooms_are_there(root):
    table = (root / "CONTRIBUTING.md").read_text("utf-8").split("## Where does my code go?")[1].split("\n## ")[0]
    names = {path.name for path in root.rglob("*.py")} | {"catalog.json", "README.md"}
    assert set(re.findall(r"`(\w+\.(?:py|json))`", table)) <= names


def test_broken_links_would_be_found(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "there.md").write_text("# A `b`: c, d\n```\n# no heading\n```\n## Twice\n## Twice\n", "utf-8")
    good = ["there.md#a-b-c-d", "there.md#twice", "there.md#twice-1", "../docs", "https://x.org/nowhere", "#here"]
    bad = ["nowhere.md", "there.md#no-heading", "there.md#twice-2", "../there.md", "#nowhere"]
    page = "# Here\n" + "\n".join(f"[x]({link})" for link in good + bad) + "\n`[code](nowhere.md)`\n"
    (tmp_path / "docs" / "page.md").write_text(page, "utf-8")
    assert broken(tmp_path, Path("docs/page.md")) == [f"docs/page.md: {link}" for link in bad]


def test_every_workflow_is_listed_with_its_question(root):
    listed = dict(ROW.findall((root / "README.md").read_text("utf-8")))
    assert sorted(listed) == sorted(file.stem for file in (root / "workflows").glob("*.json"))
    assert len(set(listed.values())) == len(listed)


@pytest.fixture(scope="module")
def nodes(root):
    """The names of our nodes as the browser shows them. (That these are registered is seen in tests/server.)"""
    texts = [file.read_text("utf-8") for file in (root / "nodes").glob("*.py")]
    return {name for text in texts for name in re.findall(r'node_id="\w+",\s+display_name="([^"]+)"', text)}


def test_the_readme_lists_every_node_and_no_other(root, nodes):
    section = (root / "README.md").read_text("utf-8").split("\n## Nodes")[1].split("\n## ")[0]
    assert set(BOLD.findall(section)) == nodes


def test_the_table_of_the_incumbents_nodes_names_ours_as_they_are(root, nodes):
    text = (root / "docs" / "from_ipadapter_plus.md").read_text("utf-8")
    answers = {name for row in re.findall(r"^\| `.*", text, re.MULTILINE) for name in BOLD.findall(row)}
    assert answers - {"Load CLIP Vision"} <= nodes
    assert len(answers) > 10


def test_figures_of_the_performance_page_stand_in_the_measurements(root):
    measured = set(NUMBER.findall((root / "benchmarks" / "RESULTS.md").read_text("utf-8")))
    rows = re.findall(
        r"^\| [^|]+ \| ([^|]+) \| RESULTS \|$", (root / "docs" / "performance.md").read_text("utf-8"), re.MULTILINE
    )
    quoted = {number for cell in rows for number in NUMBER.findall(cell)}
    assert len(quoted) >= 5
    assert quoted - measured - {f"{float(number):g}" for number in measured} == set()
