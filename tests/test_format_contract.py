"""What every registered format must keep; registering one runs the whole suite on it.

A format is tried on the file that its own `example` writes, else on a real file.
"""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from conftest import REAL_DATA

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError, UnknownFormat
from datasets.formats import FORMATS, format_of, open_file
from datasets.formats.signal import Format

SECONDS = 60

REAL = {
    "digitalmicrograph": "em/dm3_image_stack.dm3", "velox-emd": "em/velox_tem_stack.emd", "bruker": "em/bcf_tem_edx.bcf",
    "tia": "em/tia_saed.emi", "jeol": "em/jeol_View002_0000001.eds", "phenom": "em/elid_phenom_sem_eds.elid",
    "xradia": "afm_txm_apt/txm/dxchange_txrm_test_chip_tomo.txrm",
    "scienta igor": "spectra/xps_scienta_Ag.ibw", "thermo vgd": "spectra/xps_thermo_survey.VGD",
    "mib": "em/merlin_002_merlin_test_roi_sig256x128_nav4x2_hot_pixel_52x_39y.mib", "neware ndax": "echem/navani_test.ndax",
    "arbin res": "echem/cellpy_20160805_test001_45_cc_01.res",
}
"""Format -> a real file, where nobody writes the format."""

every_format = pytest.mark.parametrize("fmt", [f for f in FORMATS if "" not in f.suffixes], ids=lambda f: f.name)
"""But those that are folders, whose bytes nobody can damage."""


def example(fmt: Format, folder: Path) -> Path:
    """A small valid file of a format, alone with its companions in a folder."""
    folder.mkdir(exist_ok=True)
    if fmt.example is not None:
        return fmt.example(folder)
    assert fmt.name in REAL, f"{fmt.name} has neither an example nor a real file to be tried on"
    source = REAL_DATA / REAL[fmt.name]
    if not source.is_file():
        pytest.skip(f"needs the real file {REAL[fmt.name]}")
    for file in (source, *fmt.companions(source)):
        shutil.copy(file, folder)
        (folder / file.name).chmod(0o644)
    return folder / source.name


@pytest.fixture
def no_hang():
    """Turn a reader that waits for ever into a failed test."""
    def stop(number, frame):
        raise AssertionError(f"a reader took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@every_format
def test_an_example_is_recognised_by_exactly_one_format_and_by_its_content(fmt, tmp_path):
    path = example(fmt, tmp_path / "a")
    head = path.read_bytes()[:4096]
    assert format_of(path) is fmt
    assert [f.name for f in FORMATS if not f.fallback and f.recognises(head, path)] == [fmt.name] * (not fmt.fallback)
    assert path.suffix.lower() in fmt.suffixes


@every_format
def test_an_example_reads_whole(fmt, tmp_path, capfd):
    path = example(fmt, tmp_path / "a")
    for found in open_file(path):
        assert found.title
        assert found.fields
        for field in found.fields.values():
            assert tuple(field.data.shape) == found.shape
            assert np.asarray(field.data).dtype == field.data.dtype
        json.dumps(found.metadata)
        json.dumps(found.conditions)
        assert all("\n" not in warning for warning in found.warnings)
    assert capfd.readouterr() == ("", "")


@every_format
def test_an_example_becomes_acquisitions_that_know_their_file(fmt, tmp_path):
    path = example(fmt, tmp_path / "a")
    for number, ds in enumerate(read_acquisitions(path)):
        assert ds.attrs["source"]["file"] == path.name
        assert ds.attrs["source"]["signal"] == number
        assert ds.attrs["source"]["reader"] == fmt.name
        assert ds.attrs["source"]["reader_version"]


@every_format
def test_companions_are_files_beside_the_file_and_never_the_file_itself(fmt, tmp_path):
    path = example(fmt, tmp_path / "a")
    companions = fmt.companions(path)
    assert path not in companions
    assert all(p.is_file() and p.parent == path.parent for p in companions)
    assert {*companions, path} == set(path.parent.iterdir())


@every_format
def test_an_empty_file_is_refused_in_one_line(fmt, tmp_path):
    path = example(fmt, tmp_path / "a")
    path.write_bytes(b"")
    with pytest.raises(UnknownFormat, match=r"is empty") as told:
        open_file(path)
    assert_one_line(told.value, path)


@every_format
def test_noise_under_a_known_suffix_is_refused_in_one_line(fmt, tmp_path, no_hang):
    path = example(fmt, tmp_path / "a")
    noise = np.random.default_rng(2).bytes(20_000)
    for kept in (0, 4, 16, 64):
        path.write_bytes(noise[:kept] and path.read_bytes()[:kept] + noise[kept:])
        if kept == 0:
            path.write_bytes(noise)
        assert_reads_or_refuses(path)
        path = example(fmt, tmp_path / f"b{kept}")


@every_format
def test_a_truncated_file_is_refused_or_says_what_is_missing(fmt, tmp_path, no_hang):
    path = example(fmt, tmp_path / "a")
    whole, expected = path.read_bytes(), figures(path)
    for part in (0.05, 0.25, 0.5, 0.75, 0.95):
        path.write_bytes(whole[:int(part * len(whole))])
        try:
            found = figures(path)
        except FileError as error:
            assert_one_line(error, path)
            continue
        said = [w for ds in read_acquisitions(path) for w in ds.attrs["warnings"]]
        assert fmt.uncounted or found == expected or said, f"{part:.0%} of the file read without a word"


@every_format
def test_a_file_with_flipped_bits_is_read_or_refused_but_nothing_else(fmt, tmp_path, no_hang):
    path = example(fmt, tmp_path / "a")
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    for reach in (32, 64, 256, 1024, 4096, len(whole)) * 2:
        damaged = bytearray(whole)
        for at in rng.integers(0, min(reach, len(whole)), 3):
            damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        assert_reads_or_refuses(path)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(FileError):
        format_of(tmp_path)


def test_names_of_formats_are_unique():
    assert len({fmt.name for fmt in FORMATS}) == len(FORMATS)


def figures(path: Path) -> list[tuple]:
    """Shape and sum of every variable of every acquisition of a file, read to the last byte."""
    return [(str(name), v.shape, str(np.nansum(v.to_numpy().astype(np.complex128))) if v.dtype.kind in "biufc" else "")
            for ds in read_acquisitions(path) for name, v in ds.data_vars.items()]


def assert_reads_or_refuses(path: Path) -> None:
    try:
        figures(path)
    except FileError as error:
        assert_one_line(error, path)


def assert_one_line(error: FileError, path: Path) -> None:
    text = str(error)
    assert "\n" not in text
    assert text.partition(": ")[0] in {p.name for p in path.parent.iterdir()}
    assert "Traceback" not in text
