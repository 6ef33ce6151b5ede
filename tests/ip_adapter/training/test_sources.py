"""Pictures in tar shards and in rows: the same ones as in a folder, wherever they lie."""

import io
import json
import tarfile

import datasets
import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import TrainingError
from ip_adapter_nodes.ip_adapter.training.pictures import BROKEN
from ip_adapter_nodes.ip_adapter.training.sources import find_data
from PIL import Image

CAPTIONS = ["a red one", "a (green) one", ""]


def encoded(number):
    """A picture of its own colour and size, as a file."""
    out = io.BytesIO()
    Image.new("RGB", (4 + number, 5), (80 * number, 200 - 80 * number, 30)).save(out, "PNG")
    return out.getvalue()


def write_folder(place):
    place.mkdir()
    for number, caption in enumerate(CAPTIONS):
        (place / f"{number}.png").write_bytes(encoded(number))
        (place / f"{number}.txt").write_text(caption, encoding="utf-8")
    return place


def write_shards(place, mode="w"):
    """Two shards; names with dots and folders, a caption in JSON, a sample without a picture."""
    place.mkdir()
    members = [
        [("x/0.png", encoded(0)), ("x/0.txt", b"a red one\n"), ("x/0.cls", b"7"), ("y.txt", b"of nothing")],
        [("1.json", json.dumps({"caption": CAPTIONS[1]}).encode()), ("1.png", encoded(1)), ("2.small.png", encoded(2))],
    ]
    for number, files in enumerate(members):
        with tarfile.open(place / f"{number}.tar", mode) as tar:
            for name, content in files:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return place


def rows():
    features = datasets.Features(
        {"id": datasets.Value("int32"), "image": datasets.Image(), "text": datasets.Value("string")}
    )
    columns = {"id": [0, 1, 2], "image": [{"bytes": encoded(n), "path": None} for n in range(3)], "text": CAPTIONS}
    return datasets.Dataset.from_dict(columns, features=features)


def write_parquet(place):
    place.mkdir()
    rows().to_parquet(str(place / "part.parquet"))
    return place


def write_saved(place):
    rows().save_to_disk(str(place))
    return place


@pytest.mark.parametrize("write", [write_shards, write_parquet, write_saved])
def test_the_pictures_are_those_of_a_folder(tmp_path, write):
    expected, _ = find_data(write_folder(tmp_path / "folder"), tmp_path / "cache")
    found, account = find_data(write(tmp_path / "data"), tmp_path / "cache")
    assert [picture.caption for picture in found] == CAPTIONS
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.read(), other.read())
    assert len({picture.stamp for picture in found}) == 3
    assert len(account.without_caption) == 1


def test_stamps_stay_and_change_with_the_data(tmp_path):
    """They name the cache's files, so a second start encodes nothing again, and another picture is encoded."""
    for write in (write_shards, write_parquet):
        place = write(tmp_path / write.__name__)
        first, second = (find_data(place, tmp_path / "cache")[0] for _ in range(2))
        assert [picture.stamp for picture in first] == [picture.stamp for picture in second]
    with tarfile.open(tmp_path / "write_shards" / "1.tar", "w") as tar:
        member = tarfile.TarInfo("1.png")
        member.size = len(encoded(1))
        tar.addfile(member, io.BytesIO(encoded(1)))
    assert find_data(tmp_path / "write_shards", tmp_path)[0][1].stamp not in [picture.stamp for picture in first]


def test_one_file_stands_for_itself(tmp_path):
    shards, parquet = write_shards(tmp_path / "shards"), write_parquet(tmp_path / "parquet")
    assert [picture.caption for picture in find_data(shards / "0.tar", tmp_path)[0]] == CAPTIONS[:1]
    assert len(find_data(parquet / "part.parquet", tmp_path / "cache")[0]) == 3


def test_what_does_not_fit_is_named(tmp_path):
    _, account = find_data(write_shards(tmp_path / "shards"), tmp_path)
    assert (account.without_picture, account.without_caption) == (["0.tar/y"], ["1.tar/2"])
    with pytest.raises(TrainingError, match=r"0.tar is no tar file that can be read .* unpack it if it is compressed"):
        find_data(write_shards(tmp_path / "compressed", "w:gz"), tmp_path)
    datasets.Dataset.from_dict({"text": CAPTIONS}).save_to_disk(str(tmp_path / "texts"))
    with pytest.raises(TrainingError, match=r"Expected a column of pictures in .*, found text\. Cast one"):
        find_data(tmp_path / "texts", tmp_path)
    (tmp_path / "bad.parquet").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match=r"bad.parquet cannot be read as a data set"):
        find_data(tmp_path / "bad.parquet", tmp_path / "cache")


def test_a_broken_picture_is_met_only_when_it_is_read(tmp_path):
    whole = rows()
    columns = {
        name: list(whole.cast_column("image", datasets.Image(decode=False))[name]) for name in whole.column_names
    }
    columns["image"][1] = {"bytes": encoded(1)[:40], "path": None}
    columns["image"][2] = None
    datasets.Dataset.from_dict(columns, features=whole.features).save_to_disk(str(tmp_path / "rows"))
    found, _ = find_data(tmp_path / "rows", tmp_path)
    assert found[0].read().shape == (1, 3, 5, 4)
    for number in (1, 2):
        with pytest.raises(BROKEN):
            found[number].read()
    assert [picture.name for picture in found[1:]] == ["row 1", "row 2"]
