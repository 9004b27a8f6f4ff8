"""A packed file is the file inside it."""

import bz2
import gzip

import numpy as np
import pytest
import xarray as xr

from datasets.acquisition import read_acquisitions
from datasets.errors import UnreadableFile
from datasets.formats import compressed
from datasets.writers import mrc


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_a_packed_file_is_the_file_inside_it(tmp_path, suffix, pack):
    path = mrc.write(tmp_path / "map.mrc", np.arange(20, dtype=np.float32).reshape(4, 5), pixel_size_nm=(0.5, 0.5))
    plain, = read_acquisitions(path)
    packed = tmp_path / f"map.mrc{suffix}"
    packed.write_bytes(pack(path.read_bytes()))
    path.unlink()
    found, = read_acquisitions(packed)
    xr.testing.assert_equal(plain, found)
    assert found.attrs["title"] == plain.attrs["title"]


def test_a_packed_table_is_a_table(tmp_path):
    rows = "".join(f"{t},3.0,0.001\n" for t in range(5))
    (tmp_path / "a.bdf.csv.gz").write_bytes(gzip.compress(f"Test Time / s,Voltage / V,Current / A\n{rows}".encode()))
    ds, = read_acquisitions(tmp_path / "a.bdf.csv.gz")
    assert ds.attrs["technique"] == "cycling"


def test_what_cannot_be_unpacked_or_read_is_one_line(tmp_path, monkeypatch):
    path = compressed.example(tmp_path)
    whole = path.read_bytes()
    for raw, word in ((whole[:-20], "cannot be unpacked"), (gzip.compress(whole), "packed once more"),
                      (gzip.compress(b"nothing that is known"), "cannot be read")):
        path.write_bytes(raw)
        with pytest.raises(UnreadableFile, match=word) as error:
            read_acquisitions(path)
        assert str(error.value).startswith(path.name)
    path.write_bytes(whole)
    monkeypatch.setattr(compressed, "MOST_BYTES", 100)
    with pytest.raises(UnreadableFile, match="unpacks to more"):
        read_acquisitions(path)
