"""Which pictures are compared with which reference."""

import pytest
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.evaluation.cases import find_cases, read_case
from PIL import Image


def test_pictures_find_the_reference_with_the_longest_name(folders):
    cases = find_cases(*folders)
    assert [(case.name, case.reference.name) for case in cases] == [
        ("a.png", "a.png"),
        ("a_1.png", "a.png"),
        ("a_b_2.png", "a_b.jpg"),
    ]


def test_the_setting_is_the_folder(folders):
    (folders[0] / "weight 1").mkdir()
    (folders[0] / "a.png").rename(folders[0] / "weight 1" / "a.png")
    assert [(case.setting, case.name) for case in find_cases(*folders)][-1] == ("weight 1", "weight 1/a.png")


def test_pictures_without_a_reference_are_named(folders, tmp_path):
    Image.new("RGB", (2, 2)).save(folders[0] / "other.png")
    with pytest.raises(SettingError, match=r"other.png fit none. Rename or remove"):
        find_cases(*folders)
    with pytest.raises(SettingError, match="found none"):
        find_cases(tmp_path / "none", folders[1])


def test_a_picture_that_is_none_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(SettingError, match=r"a\.png cannot be read \(.*\)\. Remove or replace it\."):
        read_case(tmp_path / "a.png")
