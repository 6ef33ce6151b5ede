"""The texts of the interface in every language against the English ones, which tests/server compares to the schemas."""

import json
import re

import pytest

TRANSLATIONS = {"zh": ("gb2312", r"[\u4e00-\u9fff]"), "ja": ("shift_jis", r"[\u3040-\u30ff]")}
PROPER_NAMES = {"IP-Adapter", "CLIP", "VAE"}  # what is called so in every language
SENTENCES = ("tooltip", "description")
ENGLISH_WORDS = {
    "a",
    "an",
    "the",
    "of",
    "is",
    "are",
    "to",
    "and",
    "or",
    "for",
    "with",
    "from",
    "in",
    "on",
    "as",
    "by",
    "it",
    "not",
}
OPTIONS = r"one per latent|style and composition|V only|K\+V w/ C penalty"  # widgets show them untranslated
LAYERS = r"(?:in|out)\d\S*"


def read(root, language):
    return json.loads((root / "locales" / language / "nodeDefs.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def english(root):
    return read(root, "en")


@pytest.fixture(scope="module", params=TRANSLATIONS)
def language(request):
    return request.param


@pytest.fixture(scope="module")
def translation(root, language):
    return read(root, language)


def leaves(texts, path=()):
    """Every text with the keys that lead to it."""
    for key, value in texts.items():
        yield from leaves(value, (*path, key)) if isinstance(value, dict) else [((*path, key), value)]


def foreign(text):
    """English words in a text that are no names of options or layers."""
    words = re.findall(r"[A-Za-z]+", re.sub(f"{OPTIONS}|{LAYERS}", "", text))
    return [word for word in words if word in ENGLISH_WORDS]


def test_every_language_that_is_there_is_tested(root):
    assert {path.name for path in (root / "locales").iterdir()} == {"en", *TRANSLATIONS}


def test_every_input_and_output_is_explained(english):
    assert len(english) >= 17
    assert [path for path, text in leaves(english) if not text.strip()] == []


def test_the_keys_are_those_of_the_english_texts(english, translation):
    ours, theirs = (dict(leaves(texts)) for texts in (translation, english))
    assert (sorted(set(theirs) - set(ours)), sorted(set(ours) - set(theirs))) == ([], [])


def test_nothing_is_left_in_english(translation, language):
    _, script = TRANSLATIONS[language]
    for path, text in leaves(translation):
        pattern = script if path[-1] in SENTENCES else r"[\u3040-\u30ff\u4e00-\u9fff]"
        assert re.search(pattern, text) or text in PROPER_NAMES, (path, text)
        assert foreign(text) == [], (path, text)


def test_the_characters_are_those_of_the_language(translation, language):
    """Simplified Chinese has its standard set, Japanese another; a character of the other falls out."""
    encoding, _ = TRANSLATIONS[language]
    for path, text in leaves(translation):
        assert text.encode(encoding, "ignore").decode(encoding) == text, (path, text)
    assert (language == "ja") == any(re.search(r"[\u3040-\u30ff]", text) for _, text in leaves(translation))


def test_numbers_and_code_are_as_in_english(english, translation):
    """What a reader may type, and every number, survives translation; so a changed range is noticed."""
    theirs = dict(leaves(translation))
    for path, text in leaves(english):
        if path[-1] in SENTENCES:
            kept = re.findall(r"\d+(?:\.\d+)?|\w+/\w+|[a-z]+\d*:\d\S*|\.\w{4,}", text)
            assert [part for part in kept if part.rstrip(",.;") not in theirs[path]] == [], (path, theirs[path])


def test_different_nodes_have_different_names(translation):
    names = [node["display_name"] for node in translation.values()]
    assert len(set(names)) == len(names)
    for node in translation.values():
        labels = [entry["name"] for entry in node["inputs"].values()]
        assert len(set(labels)) == len(labels)


def test_no_text_holds_what_the_frontend_would_interpret(root):
    """Messages of vue-i18n: | separates plural forms, @ links and braces interpolate."""
    for language in ("en", *TRANSLATIONS):
        assert [path for path, text in leaves(read(root, language)) if re.search(r"[|@{}]", text)] == []


@pytest.mark.parametrize(
    "text", ["What the encoder saw.", "与 CLIP vision of ViT-H 相同", "0 is the text alone", "画像 and マスク"]
)
def test_english_would_be_noticed(text):
    assert foreign(text) != [] or not re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", text)


def test_names_of_options_are_no_english_text():
    assert foreign("concat 和 one per latent、all") == []
