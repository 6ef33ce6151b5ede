"""Files that are sound and far larger than they look: read within bounds, or refused."""

import json
import resource
import time
import zipfile

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import AdapterFileError, NotAnAdapterError
from ip_adapter_nodes.ip_adapter.files.checkpoint import read_tensors
from ip_adapter_nodes.ip_adapter.recognition.detect import describe


def test_archive_that_unpacks_to_far_more_than_its_size(tmp_path):
    """One record of 256 megabytes of zeros, in a quarter of one; nothing of it is unpacked."""
    path, pickle_file = tmp_path / "bomb.bin", tmp_path / "archive.bin"
    torch.save({"image_proj": {"norm.weight": torch.ones(2)}}, pickle_file)
    with zipfile.ZipFile(pickle_file) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        for record in source.infolist():
            bomb.writestr(record.filename, source.read(record))
        with bomb.open("archive/data/9", "w", force_zip64=True) as record:
            for _ in range(256):
                record.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AdapterFileError, match=r"bomb\.bin is a compressed archive that unpacks to 268"):
        read_tensors(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # kilobytes


def many_tensors(path, count):
    """One number each, in either container."""
    if path.suffix == ".bin":
        torch.save(dict.fromkeys((f"image_proj.{n}" for n in range(count)), torch.zeros(1)), path)
        return
    entries = {
        f"image_proj.{n}": {"dtype": "F32", "shape": [1], "data_offsets": [4 * n, 4 * n + 4]} for n in range(count)
    }
    header = json.dumps(entries).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4 * count))


def seconds_of_refusing(path, count, times=1):
    """Of this process alone: other work on the machine does not count."""
    start = time.process_time()
    for _ in range(times):
        source = read_tensors(path)
        with pytest.raises(NotAnAdapterError, match=f"found {count} tensors"):
            describe(source.shapes, source.name)
    return time.process_time() - start


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_hundred_thousand_tensors(tmp_path, suffix):
    """In one file they take hardly longer than in ten: a time that grew faster than their number would be tenfold."""
    many, tenth = (tmp_path / f"{name}.{suffix}" for name in ("many", "tenth"))
    many_tensors(many, 100_000)
    many_tensors(tenth, 10_000)
    # The machine may be slow for a while, so both are timed in turn and the better times count.
    turns = [(seconds_of_refusing(many, 100_000), seconds_of_refusing(tenth, 10_000, times=10)) for _ in range(3)]
    together, apart = map(min, zip(*turns, strict=True))
    assert together < 3 * apart
