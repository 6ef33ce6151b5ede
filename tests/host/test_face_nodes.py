"""The face nodes in the host: its folders, lists, cancel button and combos, on real ONNX files."""

import inspect
from pathlib import Path

import comfy.model_management
import folder_paths
import pytest
import torch
from face_models import group, red_cell, write_pack
from ip_adapter_nodes.ip_adapter.errors import FaceError, PictureError
from ip_adapter_nodes.ip_adapter.host import faces as host
from ip_adapter_nodes.nodes.face import AnalyzeFaces, FaceSimilarity, LoadFaceAnalysis, LoadFaces, SaveFaces

pytestmark = pytest.mark.usefixtures("face_libraries")
CHOICE = {"which": ["all"], "index": [0], "size": [128], "confidence": [0.5], "missing": ["error"]}


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A host whose models, input and output lie below a temporary folder."""
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "insightface", ([str(tmp_path / "models")], set()))
    for name in ("input", "output"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(folder_paths, f"{name}_directory", str(tmp_path / name))
    return tmp_path


@pytest.fixture
def analysis(folders):
    write_pack(folders / "models" / "models" / "tiny" / "tiny")
    return LoadFaceAnalysis.execute("auto", "auto").result[0]


def image(*places):
    return torch.stack([red_cell(*place).movedim(0, -1) for place in places])


@pytest.fixture
def faces(analysis):
    return AnalyzeFaces.execute([analysis], [image((40, 24), (64, 40))], **CHOICE).result[0]


def combo(node, name):
    return next(given for given in node.GET_SCHEMA().inputs if given.id == name).options


def test_packs_are_found_in_the_hosts_folders_and_in_extra_ones(folders, monkeypatch):
    extra = folders / "elsewhere"
    folder_paths.folder_names_and_paths["insightface"][0].append(str(extra))
    write_pack(folders / "models" / "models" / "nested" / "nested")
    write_pack(extra / "models" / "second")
    assert combo(LoadFaceAnalysis, "pack") == ["auto", "nested", "second"]
    assert LoadFaceAnalysis.execute("second", "CPU").result[0].recogniser.name == "second/two.onnx"


def test_the_folder_is_registered_beside_those_of_others(monkeypatch):
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", {"insightface": (["others"], set())})
    host.register_folder()
    host.register_folder()
    assert folder_paths.get_folder_paths("insightface") == [
        "others",
        str(Path(folder_paths.models_dir, "insightface")),
    ]


def test_without_a_pack_the_node_still_says_what_to_do(folders):
    assert combo(LoadFaceAnalysis, "pack") == ["auto"]
    with pytest.raises(FaceError, match="no face analysis pack") as error:
        LoadFaceAnalysis.execute("auto", "auto")
    assert str(folders / "models" / "models") in str(error.value)


def test_providers_on_offer(folders):
    assert combo(LoadFaceAnalysis, "provider")[0] == "auto"
    assert "CPU" in combo(LoadFaceAnalysis, "provider")


def test_a_pack_that_changed_is_loaded_again(folders):
    pack = write_pack(folders / "models" / "models" / "tiny")
    before = LoadFaceAnalysis.fingerprint_inputs("tiny", "auto")
    assert before == LoadFaceAnalysis.fingerprint_inputs("tiny", "CPU")
    (pack / "two.onnx").write_bytes(b"other")
    assert LoadFaceAnalysis.fingerprint_inputs("tiny", "auto") != before
    assert LoadFaceAnalysis.fingerprint_inputs("auto", "auto") != before
    assert LoadFaceAnalysis.fingerprint_inputs("absent", "auto") == []


def test_a_list_of_pictures_of_different_sizes_is_one_value(analysis):
    """As the host calls it: every input is a list, and the drawn pictures are one."""
    schema = AnalyzeFaces.GET_SCHEMA()
    assert schema.is_input_list
    assert [output.is_output_list for output in schema.outputs] == [False, False, True, False]
    images = [image((40, 24)), image((40, 24))[:, :, :96], image((8, 8), (64, 40))]
    found, crops, drawn, report = AnalyzeFaces.execute([analysis], images, **CHOICE).result
    assert [face.picture for face in found.members] == [0, 1, 2, 3]
    assert crops.shape == (4, 224, 224, 3)
    assert [picture.shape for picture in drawn] == [picture.shape for picture in images]
    assert len(report.splitlines()) == 4


def test_masks_reach_the_choice(analysis):
    masks = [torch.ones(1, 8, 8), torch.zeros(1, 8, 8)]
    images = [image((40, 24)), image((64, 40))]
    found = AnalyzeFaces.execute([analysis], images, **(CHOICE | {"missing": ["skip"]}), mask=masks).result[0]
    assert [face.picture for face in found.members] == [0]
    with pytest.raises(PictureError, match="2 images, got 3"):
        AnalyzeFaces.execute([analysis], images, **CHOICE, mask=[torch.ones(1, 8, 8)] * 3)


def test_a_real_photograph_goes_through(analysis):
    """The small detector sees no red face in it, and says so; nothing depends on the picture's size."""
    with pytest.raises(FaceError, match=r"picture 1 of 1 \(1280x886\): no face"):
        AnalyzeFaces.execute([analysis], [group().movedim(0, -1)[None]], **CHOICE)


def test_cancel_stops_between_pictures(analysis):
    comfy.model_management.interrupt_current_processing(True)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        AnalyzeFaces.execute([analysis], [image((40, 24), (40, 24))], **CHOICE)
    assert not comfy.model_management.processing_interrupted()


def test_saved_faces_are_listed_and_come_back(folders, faces):
    first = SaveFaces.execute(faces, "people/alice").result[0]
    second = SaveFaces.execute(faces, "people/alice").result[0]
    assert first != second
    assert Path(first).is_relative_to(folders / "output" / "faces" / "people")
    listed = combo(LoadFaces, "file")
    assert listed == [f"people/{Path(path).name} [output]" for path in (first, second)]
    loaded = LoadFaces.execute(listed[0]).result[0]
    assert torch.equal(loaded.embeddings, faces.embeddings)
    assert torch.equal(loaded.crops, faces.crops)
    similarity, _ = FaceSimilarity.execute(faces, loaded, "best").result
    assert similarity == pytest.approx(1, abs=1e-6)


def test_files_of_other_programs_are_read_from_the_input_folder(folders):
    (folders / "input" / "faces").mkdir()
    torch.save(torch.ones(512), folders / "input" / "faces" / "bob.pt")
    assert combo(LoadFaces, "file") == ["bob.pt [input]"]
    before = LoadFaces.fingerprint_inputs("bob.pt [input]")
    assert torch.equal(LoadFaces.execute("bob.pt [input]").result[0].embeddings, torch.ones(1, 512))
    torch.save(torch.ones(2, 512), folders / "input" / "faces" / "bob.pt")
    assert LoadFaces.fingerprint_inputs("bob.pt [input]") != before
    assert LoadFaces.fingerprint_inputs("gone.pt [input]") is None


@pytest.mark.parametrize("name", ["../alice", "a/../../alice", "/alice", "", " ", ".", ".."])
def test_nothing_is_written_outside_of_the_folder(folders, faces, name):
    with pytest.raises(FaceError, match="below"):
        SaveFaces.execute(faces, name)
    assert not list(folders.rglob("*.safetensors"))


@pytest.mark.parametrize("name", ["../../secret.pt [output]", "/secret.pt [output]", "secret.pt", "gone.pt [output]"])
def test_nothing_is_read_from_outside_of_the_folders(folders, name):
    torch.save(torch.ones(512), folders / "secret.pt")
    with pytest.raises(FaceError, match="There is no face file") as error:
        LoadFaces.execute(name)
    assert str(folders / "output" / "faces") in str(error.value)


@pytest.mark.parametrize("node", [LoadFaceAnalysis, AnalyzeFaces, SaveFaces, LoadFaces, FaceSimilarity])
def test_execute_takes_what_the_schema_offers(folders, node):
    offered = {given.id: given.optional for given in node.GET_SCHEMA().inputs}
    taken = inspect.signature(node.execute).parameters
    assert {name: parameter.default is not parameter.empty for name, parameter in taken.items()} == offered
