"""Where packs lie and how people unpack them: found wherever sensible, and otherwise told what to do and where."""

import pytest
from ip_adapter_nodes.ip_adapter.errors import FaceError
from ip_adapter_nodes.ip_adapter.library.face_packs import choose_pack, find_packs


def put(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")


LAYOUTS = {
    "as insightface": "models/buffalo_l/det_10g.onnx",
    "nested once too deep": "models/buffalo_l/buffalo_l/det_10g.onnx",
    "without models": "buffalo_l/det_10g.onnx",
}


@pytest.mark.parametrize("path", LAYOUTS.values(), ids=LAYOUTS)
def test_packs_are_found_however_they_were_unpacked(tmp_path, path):
    put(tmp_path, path)
    assert find_packs([tmp_path])["buffalo_l"].folder == (tmp_path / path).parent
    assert choose_pack("buffalo_l", [tmp_path]) == choose_pack("auto", [tmp_path])


def test_files_unpacked_without_a_folder_are_a_pack_too(tmp_path):
    put(tmp_path, "models/det_10g.onnx", "models/w600k_r50.onnx")
    assert [path.name for path in choose_pack("auto", [tmp_path]).files] == ["w600k_r50.onnx", "det_10g.onnx"]


def test_what_is_no_pack(tmp_path):
    """Models of other programs beside the packs, and what a Mac leaves in archives."""
    put(
        tmp_path,
        "inswapper_128.onnx",
        "models/readme.txt",
        "models/buffalo_l/._det_10g.onnx",
        "models/buffalo_l/a.onnx",
    )
    packs = find_packs([tmp_path, tmp_path / "absent"])
    assert list(packs) == ["buffalo_l"]
    assert [path.name for path in packs["buffalo_l"].files] == ["a.onnx"]


def test_several_packs_and_folders(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    put(first, "models/antelopev2/x.onnx", "models/aura/x.onnx")
    put(second, "models/buffalo_l/x.onnx", "models/aura/x.onnx")
    roots = [first, second]
    assert list(find_packs(roots)) == ["antelopev2", "aura", "buffalo_l"]
    assert choose_pack("auto", roots).name == "buffalo_l"  # what FaceID was trained with
    assert choose_pack("auto", [first]).name == "antelopev2"
    assert choose_pack("aura", roots).folder == first / "models" / "aura"


def message(name, roots):
    with pytest.raises(FaceError) as error:
        choose_pack(name, roots)
    return str(error.value)


def test_nothing_there(tmp_path):
    text = message("auto", [tmp_path / "absent", tmp_path])
    assert str(tmp_path / "models") in text
    assert str(tmp_path / "absent" / "models" / "buffalo_l") in text
    assert "models get buffalo_l" in text
    assert "models get" not in message("of my own", [tmp_path])


def test_another_name_is_told_what_there_is(tmp_path):
    put(tmp_path, "models/antelopev2/x.onnx")
    text = message("buffalo_l", [tmp_path])
    assert "'buffalo_l'" in text
    assert "antelopev2" in text


@pytest.mark.parametrize("archive", ["models/buffalo_l.zip", "buffalo_l.zip"])
@pytest.mark.parametrize("name", ["auto", "buffalo_l"])
def test_a_zip_that_is_not_unpacked(tmp_path, archive, name):
    put(tmp_path, archive)
    text = message(name, [tmp_path])
    assert str(tmp_path / archive) in text
    assert f"Unpack it to {tmp_path / 'models' / 'buffalo_l'}" in text


def test_a_zip_of_another_pack_is_not_blamed(tmp_path):
    put(tmp_path, "models/antelopev2.zip")
    assert "antelopev2.zip" not in message("buffalo_l", [tmp_path])
