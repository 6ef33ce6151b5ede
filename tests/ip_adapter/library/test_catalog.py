"""The catalogue as data: sound, agreeing with what the files' tensors say, and shown to people as it is."""

import hashlib
import os
import re
from collections import Counter
from math import prod

import pytest
from census import FILES
from ip_adapter_nodes.ip_adapter.files.checkpoint import EXTENSIONS
from ip_adapter_nodes.ip_adapter.library import catalog
from ip_adapter_nodes.ip_adapter.library.catalog_table import markdown
from ip_adapter_nodes.ip_adapter.recognition.detect import describe
from ip_adapter_nodes.ip_adapter.recognition.unsupported import LOOKALIKES, OTHER_FILES
from ip_adapter_nodes.ip_adapter.recognition.variant import Clues
from ip_adapter_nodes.models.facts import Kind, Stage

ENTRIES = {entry.name: entry for entry in catalog.entries()}
KINDS = {kind.value for kind in Kind} | {relative.kind for relative in (*LOOKALIKES, *OTHER_FILES)}
KINDS |= {"art", "face-analysis"}  # diffusers' processors of other widths; packs of ONNX files
RESEARCH_ONLY = "research only, non-commercial"
# Published hashes are known for all others, published sizes only to three digits for these.
NO_HASH = {"ip_adapter_art_sdxl_512"}
NO_SIZE = NO_HASH | {
    *("ip_plus_composition_sd15", "ip_plus_composition_sdxl", "ip-adapter-faceid-portrait_sd15"),
    *("ip-adapter-instruct-sdxl", "ip-adapter-instruct-sd3", "ip-adapter_sd35_large"),
    *("flux-ip-adapter", "flux-ip-adapter-v2"),
    *(f"ip-adapter-style_sdxl_amix_v0.{n}.0_fp{bits}" for n in (1, 3) for bits in (16, 32)),
    *(f"ip-adapter_sd15{x}.bin" for x in ("", "_light", "_vit-G")),
    *(f"ip-adapter-{x}_sd15.bin" for x in ("plus", "plus-face", "full-face")),
    *("ip-adapter_sdxl.bin", "ip-adapter_sdxl_vit-h.bin"),
}
# What an encoder's features are called in a spec -> the encoder's name here.
ENCODERS = {
    (Stage.POOLED, 1024): "clip_vision_h",
    (Stage.POOLED, 1280): "clip_vision_g",
    (Stage.PENULTIMATE, 1280): "clip_vision_h",
    (Stage.PENULTIMATE, 1024): "clip_vision_l_336",
}


def test_names_are_unique_in_every_respect():
    for what in ("name", "url", "sha256"):
        values = [value for entry in catalog.entries() if (value := getattr(entry, what))]
        assert [value for value, count in Counter(values).items() if count > 1] == []
    places = Counter((entry.folder, entry.file) for entry in catalog.entries())
    assert set(places.values()) == {1}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_entry_is_sound(entry):
    assert entry.url.startswith("https://")
    assert entry.sha256 is None or re.fullmatch("[0-9a-f]{64}", entry.sha256)
    assert entry.size is None or entry.size > 10**6
    assert entry.licence
    assert entry.kind in KINDS
    assert entry.folder in ("ipadapter", "clip_vision", "loras", "controlnet", "insightface")
    assert "/" not in entry.file
    assert entry.contents or entry.file.endswith(EXTENSIONS)
    assert entry.encoder is None or ENTRIES[entry.encoder].kind == "clip-vision"
    assert entry.face is None or ENTRIES[entry.face].kind == "face-analysis"
    assert entry.lora is None or (ENTRIES[entry.lora].kind, ENTRIES[entry.lora].base) == ("lora", entry.base)
    assert entry.prefer is None or ENTRIES[entry.prefer].file.endswith(".safetensors")


def test_what_is_not_known_is_stated_and_not_guessed():
    assert {entry.name for entry in catalog.entries() if entry.sha256 is None} == NO_HASH
    assert {entry.name for entry in catalog.entries() if entry.size is None} == NO_SIZE


def test_the_faceid_family_is_for_research_only():
    face = [entry for entry in catalog.entries() if "IP-Adapter-FaceID/" in entry.url or "insightface" in entry.url]
    assert len(face) == 16
    assert {entry.licence for entry in face if "Kolors" not in entry.licence} == {RESEARCH_ONLY}
    kolors = [entry for entry in catalog.entries() if entry.face == "antelopev2"]
    assert len(kolors) == 2
    assert all("for research only" in entry.licence for entry in kolors)


@pytest.mark.parametrize("name", FILES)
def test_entry_says_what_the_tensors_say(name):
    known, entry = FILES[name], ENTRIES[name]
    assert (entry.kind, entry.base) == (known.kind, known.base)
    spec = describe(known.shapes, name, Clues(variant=known.kind if known.kind in ("faceid-plus",) else "auto"))
    assert entry.encoder == (ENCODERS[spec.stage, spec.feature_width] if spec.stage else None)
    assert (entry.face is not None) == (spec.face is not None)
    assert (entry.lora is not None) == (spec.lora_rank is not None)
    assert known.size in (None, entry.size)
    if entry.size is not None:  # between float16 throughout and float32 throughout, and a little for the names
        numbers = sum(map(prod, known.shapes.values()))
        assert 2 * numbers < entry.size < 4 * numbers + 400 * len(known.shapes)


def test_every_adapter_of_the_census_is_in_the_catalogue():
    assert set(FILES) <= set(ENTRIES)


def test_lookups(tmp_path):
    entry = ENTRIES["ip-adapter_sd15"]
    assert catalog.by_name("ip-adapter_sd15") == catalog.by_name("ip-adapter_sd15.safetensors") == entry
    assert catalog.by_name("ip-adapter_sd15.bin").prefer == "ip-adapter_sd15"
    assert catalog.by_name("nonsense") is None
    assert catalog.by_sha256(entry.sha256) == entry
    assert {other.name for other in catalog.by_size(44_642_768)} == {"ip-adapter_sd15", "ip-adapter_sd15_light"}
    assert entry.hub == ("h94/IP-Adapter", "models/ip-adapter_sd15.safetensors")
    assert ENTRIES["buffalo_l"].hub is None


def test_a_file_is_known_by_its_content_and_read_only_if_its_size_is_known(tmp_path, small_catalogue):
    content = bytes(range(256)) * 20_000
    small_catalogue({"name": "mine", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    file = tmp_path / "any name.bin"
    file.write_bytes(content)
    assert catalog.identify(file).name == "mine"
    written = file.stat().st_mtime_ns
    file.write_bytes(content[:-1] + b"!")
    os.utime(file, ns=(written, written + 1_000_000))  # clocks of file systems may stand still for some milliseconds
    assert catalog.identify(file) is None
    assert catalog.identify(tmp_path) is None  # a folder has another size, and cannot be read
    with pytest.raises(OSError, match="no such file"):
        catalog.identify(tmp_path / "no such file")


def test_the_page_of_files_shows_the_catalogue(root):
    section = (root / "docs" / "files.md").read_text("utf-8").split("<!-- catalogue -->")[1].strip()
    assert section == markdown(catalog.entries()), (
        "Put what 'python3 run.py models list --catalogue --markdown' prints between the two comments of docs/files.md."
    )


def test_the_rows_of_the_readme_are_among_them(root):
    rows = [line for line in (root / "README.md").read_text("utf-8").splitlines() if "/resolve/main/" in line]
    assert len(rows) == 6
    assert set(rows) <= set(markdown(catalog.entries()).splitlines())
