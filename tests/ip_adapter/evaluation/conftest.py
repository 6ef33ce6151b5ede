"""Pictures and references of one colour."""

import pytest
from PIL import Image


@pytest.fixture
def folders(tmp_path):
    """Three pictures of two references, of which the first has a caption."""
    for folder in ("made", "references"):
        (tmp_path / folder).mkdir()
    for name in ("made/a.png", "made/a_1.png", "made/a_b_2.png", "references/a.png", "references/a_b.jpg"):
        Image.new("RGB", (20, 10), (200, 10, 10)).save(tmp_path / name)
    (tmp_path / "references" / "a.txt").write_text("a red one", encoding="utf-8")
    return tmp_path / "made", tmp_path / "references"
