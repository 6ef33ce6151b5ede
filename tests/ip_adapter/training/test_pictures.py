"""A folder of pictures with captions: what is used, what is skipped, and what is said of it."""

import json

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import TrainingError
from ip_adapter_nodes.ip_adapter.training.batch import Batch, Text, UncondBatch
from ip_adapter_nodes.ip_adapter.training.pictures import DatasetReport, centre_crop, find_pictures, read_picture
from ip_adapter_nodes.ip_adapter.training.samples import Encoded, cached, held_back
from PIL import Image


def save(folder, name, colour, size=(6, 4), **options):
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, colour).save(file, **options)
    return file


@pytest.fixture
def folder(tmp_path):
    """Three sound pictures, one of them without a caption, a broken one, and two captions without a picture."""
    data = tmp_path / "data"
    data.mkdir()
    save(data, "a.png", (255, 0, 0))
    save(data, "b.jpg", (0, 255, 0))
    save(data, "sub/c.png", (0, 0, 255))
    whole = save(data, "d.png", (9, 9, 9), size=(64, 64)).read_bytes()
    (data / "d.png").write_bytes(whole[: len(whole) // 2])
    (data / "a.txt").write_text("  a red one\n", encoding="utf-8")
    (data / "d.txt").write_text("broken", encoding="utf-8")
    (data / "lost.txt").write_text("of nothing", encoding="utf-8")
    lines = [{"file_name": "sub/c.png", "text": "a blue one"}, {"file_name": "gone.png", "text": "of nothing"}]
    (data / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return data


class Colours:
    """Encoders whose features are the mean colour of a picture, and that count what they encode."""

    identity = "colours"

    def __init__(self):
        self.encoded = []

    def encode(self, picture, caption):
        self.encoded.append(caption)
        return Batch(torch.full((1, 4, 2, 2), len(caption)), Text(torch.ones(1, 3, 5), None), (picture.mean((2, 3)),))

    def nothing(self):
        return UncondBatch(Text(torch.zeros(1, 3, 5), None), (torch.zeros(1, 3),))


def test_pictures_are_found_with_their_captions_and_the_rest_is_named(folder):
    pictures, account = find_pictures(folder)
    assert [(p.path.name, p.caption) for p in pictures] == [
        ("a.png", "a red one"),
        ("b.jpg", ""),
        ("d.png", "broken"),
        ("c.png", "a blue one"),
    ]
    assert account.without_caption == ["b.jpg"]
    assert sorted(account.without_picture) == ["gone.png", "lost"]


@pytest.mark.parametrize("way", ["cached", "on the fly"])
def test_broken_pictures_are_skipped_and_counted(folder, tmp_path, way):
    pictures, account = find_pictures(folder)
    if way == "cached":
        samples = cached(pictures, Colours(), tmp_path / "cache", account, lambda *_: None)
        account.used = len(samples)
        assert len(samples) == 3
    else:
        samples = Encoded(pictures, Colours(), account)
        assert torch.equal(samples.batch([2]).image[0], samples.batch([3]).image[0])  # the next one stands in
        account.used = 3
    assert samples.batch([0]).image[0].tolist() == [[1.0, 0.0, 0.0]]
    assert str(account) == (
        "3 pictures used; 1 broken and skipped (d.png); 2 captions without a picture skipped "
        f"({', '.join(account.without_picture)}); 1 pictures without a caption used (b.jpg)"
    )


def test_a_second_start_encodes_only_what_has_changed(folder, tmp_path):
    encoders, cache = Colours(), tmp_path / "cache"
    for _ in range(2):
        cached(find_pictures(folder)[0], encoders, cache, DatasetReport(), lambda *_: None)
    assert len(encoders.encoded) == 3
    (folder / "a.txt").write_text("changed", encoding="utf-8")
    samples = cached(find_pictures(folder)[0], encoders, cache, DatasetReport(), lambda *_: None)
    assert encoders.encoded[3:] == ["changed"]
    assert float(samples.batch([0]).latents[0, 0, 0, 0]) == len("changed")


def test_a_folder_without_a_sound_picture_is_named(folder):
    pictures, account = find_pictures(folder)
    with pytest.raises(TrainingError, match="None of the pictures can be read"):
        Encoded(pictures[2:3], Colours(), account).batch([0])


def test_a_line_of_the_metadata_that_is_wrong_is_named(folder):
    (folder / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "x"}\n{"file": 1}\n', encoding="utf-8")
    with pytest.raises(TrainingError, match=r"metadata.jsonl, line 2: expected .*Correct it"):
        find_pictures(folder)


def test_pictures_are_read_upright_in_rgb(tmp_path):
    picture = Image.new("L", (2, 1))
    picture.putpixel((1, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate clockwise
    picture.save(tmp_path / "turned.png", exif=exif)
    assert read_picture(tmp_path / "turned.png").tolist() == [[[[0.0], [1.0]]] * 3]


def test_the_middle_is_kept(tmp_path):
    picture = torch.zeros(1, 3, 8, 24)
    picture[..., 8:16] = 1
    assert torch.equal(centre_crop(picture, 8), torch.ones(1, 3, 8, 8))


def test_pictures_are_held_out_by_the_seed_alone(folder):
    samples = Encoded(find_pictures(folder)[0] * 5, Colours(), DatasetReport())
    training, measured = held_back(samples, 6, seed=1)
    assert (len(training), len(measured)) == (14, 6)
    assert sorted([*training.numbers, *measured.numbers]) == list(range(20))
    assert held_back(samples, 6, seed=1)[1].numbers == measured.numbers
    assert held_back(samples, 6, seed=2)[1].numbers != measured.numbers
    assert held_back(samples, 0, seed=1)[1] is None
    with pytest.raises(TrainingError, match="Expected more pictures than the 20 to hold out, found 20"):
        held_back(samples, 20, seed=1)
