"""Real files of electron microscopes arrive with the figures that other programs read, and damaged ones do not arrive."""

import gc
import json
import re
import shutil
import struct
import tracemalloc
import zipfile
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from conftest import REAL_DATA

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError, UnknownFormat, UnreadableFile
from datasets.formats import FORMATS, contiguous, format_of, open_file
from datasets.formats.electrons import rosetta, rosetta_bcf, rosetta_examples
from datasets.techniques import TECHNIQUES
from datasets.units import compatible, factor, is_calibrated, spelled
from datasets.writers import mrc as mrc_writer
from datasets.writers import ncem_emd, ripple

EM = REAL_DATA / "em"
ROWS = [line.split("\t") for line in (EM / "MANIFEST.tsv").read_text().splitlines()[1:]] if EM.is_dir() else []
READ_BY_ROSETTA = {row[0]: row[7] for row in ROWS if " signal(s): " in row[7]}
ALL = [*sorted(READ_BY_ROSETTA), "ccpem_emd3197.map"]
LATER = ["et_haadf.rawtlt", "serialem_test_000.mdoc", "MANIFEST.tsv"]
"""Files that belong to another file."""
AXIS = re.compile(r"(?P<name>[^:]*):(?P<size>\d+) (?P<scale>\S+) (?P<units>.*?) ?off (?P<offset>\S+?)(?: nav)?$")
SHAPE = re.compile(r"shape\((?P<shape>[\d, ]+)\) (?P<dtype>\[.*?\]|\S+?)\|(?P<axes>.*?)\|(?:None|\(.*?\))\|(?P<sums>.*)$")


BIG = {"ncem_edx_tilt_000.bcf", "ncem_edx_tilt_m30.bcf"}
"""134 MiB each when unpacked: not kept in memory between tests."""


def acquisitions(name: str):
    return read_acquisitions(EM / name) if name in BIG else _kept(name)


@cache
def _kept(name: str):
    return read_acquisitions(EM / name)


def expected_signals(name: str) -> list[dict]:
    """What the manifest says of each signal of a file; it lists eight at most."""
    found = []
    for part in READ_BY_ROSETTA[name].partition(" signal(s): ")[2].split(" || "):
        match = SHAPE.search(part)
        axes = [AXIS.match(axis.strip()).groupdict() for axis in match["axes"].split(";")] if match["axes"] else []
        sums = dict(pair.split("=") for pair in match["sums"].split() if "=" in pair)
        found.append({"shape": tuple(int(n) for n in match["shape"].split(",") if n.strip()), "dtype": match["dtype"],
                      "axes": axes, "sums": {k: float(v) for k, v in sums.items()}})
    return found


def read_late(monkeypatch) -> None:
    """Make every array lazy that can be."""
    monkeypatch.setattr(rosetta, "LAZY_ABOVE_BYTES", 0)
    monkeypatch.setattr(contiguous, "AT_ONCE_BYTES", 0)


# --- the figures of the manifest


@pytest.mark.parametrize("name", sorted(READ_BY_ROSETTA))
def test_all_signals_of_a_file_arrive(real_data, name):
    assert len(acquisitions(name)) == int(READ_BY_ROSETTA[name].split(" signal", 1)[0])


@pytest.mark.parametrize("name", sorted(READ_BY_ROSETTA))
def test_arrays_have_the_figures_that_other_programs_read(real_data, name):
    for expected, ds in zip(expected_signals(name), acquisitions(name), strict=False):
        values = ds.intensity.to_numpy()
        if expected["dtype"].startswith("["):
            assert values.shape == (expected["dtype"].count("u1"), *expected["shape"])
            assert ds.intensity.dims[0] == "channel"
            continue
        assert sorted(values.shape) == sorted(expected["shape"])
        assert values.dtype == np.dtype(expected["dtype"]).newbyteorder("=")
        if "sum" in expected["sums"]:
            # the manifest prints nine digits of the sum and six of the maximum
            np.testing.assert_allclose(values.sum(dtype=np.float64), expected["sums"]["sum"], rtol=2e-8, equal_nan=True)
            np.testing.assert_allclose(values.max(), expected["sums"]["max"], rtol=1e-5, equal_nan=True)


@pytest.mark.parametrize("name", sorted(READ_BY_ROSETTA))
def test_axes_have_the_step_and_the_offset_that_other_programs_read(real_data, name):
    for expected, ds in zip(expected_signals(name), acquisitions(name), strict=False):
        left = {str(d): ds[d] for d in ds.intensity.dims if d != "channel" or "channel" not in expected["dtype"]}
        for axis in expected["axes"]:
            match = next((d for d, coordinate in left.items() if _is_same_axis(axis, coordinate)), None)
            assert match is not None, f"{axis} is none of {[(d, c.attrs, c.values[:2]) for d, c in left.items()]}"
            del left[match]
        assert not set(left) - {"channel"} or not expected["axes"]


def _is_same_axis(axis: dict, coordinate) -> bool:
    """Whether a coordinate is the axis of the manifest, in its canonical unit or, uncalibrated, with its step kept aside."""
    if coordinate.size != int(axis["size"]):
        return False
    scale, offset, units = float(axis["scale"]), float(axis["offset"]), spelled(axis["units"])
    canonical = coordinate.attrs["units"]
    step, first = (float(coordinate[1] - coordinate[0]) if coordinate.size > 1 else scale), float(coordinate[0])
    if is_calibrated(units) and compatible(units, canonical):
        times = factor(units, canonical)
        # so far from zero as the TIA pattern lies, float64 has 5e-7 1/nm left for a step
        return (np.isclose(step, scale * times, rtol=1e-5)
                and np.isclose(first, offset * times, rtol=1e-5, atol=abs(step) * 1e-3))
    kept = coordinate.attrs.get("vendor_step", 1.0 if coordinate.size > 1 else scale)
    return canonical in ("pixel", "1") and (np.isclose(kept, scale, rtol=1e-5) or canonical == "1")


@pytest.mark.parametrize("name", ALL)
def test_every_signal_becomes_an_acquisition_that_keeps_its_promise(real_data, name):
    for ds in acquisitions(name):
        TECHNIQUES[ds.attrs["technique"]].check(ds)
        json.dumps(ds.attrs)
        if ds.attrs["technique"] == "unknown":
            assert ds.attrs["warnings"]


@pytest.mark.parametrize("name", [n for n in ALL if n != "ncem_edx_tilt_m30.bcf"])
def test_reading_lazily_gives_the_same_figures(real_data, name, monkeypatch):
    eagerly = open_file(EM / name)
    read_late(monkeypatch)
    for lazy, eager in zip(open_file(EM / name), eagerly, strict=True):
        values = np.asarray(lazy.main.data)
        assert values.dtype == eager.main.data.dtype
        np.testing.assert_array_equal(values, eager.main.data)
        assert [(a.name, a.units, *a.values) for a in lazy.axes] == [(a.name, a.units, *a.values) for a in eager.axes]
        assert lazy.conditions == eager.conditions
    del lazy, values
    gc.collect()  # a file left open would be reported here, and warnings are errors


# --- what each file is, and what it says of how it was made

TECHNIQUE_OF = {
    "bcf_tem_edx.bcf": ["stem_image", "edx"], "blo_4dstem.blo": ["stem_4d"], "ccpem_emd3197.map": ["tomogram"],
    "dm3_diffraction_pattern.dm3": ["saed"], "dm3_eels_spectrum.dm3": ["eels"], "dm3_image_stack.dm3": ["stem_image"],
    "dm3_stem_image.dm3": ["stem_image"], "dm4_eels_si.dm4": ["eels"], "emd_berkeley_image.emd": ["tem_image"],
    "elid_phenom_sem_eds.elid": ["sem_image", "edx", "edx", "edx", "edx", "edx", "edx", "sem_image", "edx", "sem_image", "edx"],
    "et_haadf.dm3": ["tilt_series"], "exspy_eds_sem_tm002.hspy": ["edx"], "exspy_eds_tem_fept.hspy": ["edx"],
    "exspy_eels_ll_linescan_simulated.hspy": ["eels"], "hspy_spectrum.hspy": ["saed"],
    "jeol_View002_0000000.img": ["stem_image"], "jeol_View002_0000001.eds": ["edx"], "mrc_haadf_scan.mrc": ["stem_image"],
    "merlin_002_merlin_test_roi_sig256x128_nav4x2_hot_pixel_52x_39y.mib": ["stem_4d"], "msa_eels_spectrum.msa": ["eels"],
    "ncem_acquisition18.emd": ["stem_image"], "ncem_carbon_eels.dm3": ["eels"], "ncem_edx_tilt_000.bcf": ["stem_image", "edx"],
    "ncem_temp.mrc": ["tem_image"], "nexus_dls.nxs": ["unknown"] * 14, "tia_saed.emi": ["saed"],
    "tia_tem_search.emi": ["tem_image"], "tif_fei_helios_FEI-Helios-Ebeam-16bits.tif": ["sem_image"],
    "tif_fei_helios_FEI-Helios-navcam.tif": ["unknown"], "tif_imagej_stack.tif": ["tem_image"],
    "tif_olympus_sis.tif": ["tem_image", "tem_image"], "tif_saved_by_dm.tif": ["tem_image"],
    "tif_zeiss_test_tiff_Zeiss_SEM_512pix.tif": ["sem_image"], "velox_tem_stack.emd": ["tem_image"],
    "velox11_Test_SI_16x16_215_kx.emd": ["edx"] * 4 + ["element_map"] * 4 + ["stem_image", "edx"],
}


@pytest.mark.parametrize("name", TECHNIQUE_OF)
def test_a_file_is_taken_for_what_it_is(real_data, name):
    assert [ds.attrs["technique"] for ds in acquisitions(name)] == TECHNIQUE_OF[name]


@pytest.mark.parametrize("name", ["emd_berkeley_image.emd", "ncem_temp.mrc", "tif_imagej_stack.tif", "tif_saved_by_dm.tif"])
def test_an_image_that_does_not_say_what_made_it_is_taken_for_tem_aloud(real_data, name):
    assert any("taken for a TEM image" in w for w in acquisitions(name)[0].attrs["warnings"])
    said = read_acquisitions(EM / name, technique="stem_image")[0]
    assert said.attrs["technique"] == "stem_image"
    assert not any("taken for" in w for w in said.attrs["warnings"])


CONDITIONS = {
    "dm4_eels_si.dm4": {"beam_energy_keV": 200.0, "convergence_mrad": 21.0, "collection_mrad": 62.0, "dwell_time_s": 0.02,
                        "camera_length_mm": 550.0, "magnification": 225000.0, "stage_x_nm": -308049.0},
    "dm3_eels_spectrum.dm3": {"beam_energy_keV": 200.0, "tilt_deg": 24.950478513, "convergence_mrad": 21.0},
    "dm3_diffraction_pattern.dm3": {"beam_energy_keV": 200.0, "camera_length_mm": 320.0, "exposure_s": 0.2,
                                    "acquired": "2014-07-09T18:56:37"},
    "et_haadf.dm3": {"dwell_time_s": 3.25e-5, "acquired": "2016-12-05T21:27:27+00:00"},
    "velox11_Test_SI_16x16_215_kx.emd": {"beam_energy_keV": 300.0, "beam_current_pA": 216.546, "convergence_mrad": 25.0107,
                                         "tilt_deg": 0.00511327, "elements": ["C", "O", "Ca", "Cu"]},
    "velox_tem_stack.emd": {"magnification": 1271519.155, "defocus_nm": 30.2317, "detector": "BM-Ceta"},
    "ncem_acquisition18.emd": {"beam_energy_keV": 200.0, "convergence_mrad": 24.9794, "dwell_time_s": 1e-6},
    "mrc_haadf_scan.mrc": {"beam_energy_keV": 300.0, "dwell_time_s": 0.01, "detector": "HAADF", "convergence_mrad": 14.3273},
    "bcf_tem_edx.bcf": {"beam_energy_keV": 200.0, "magnification": 225000.0},
    "tia_saed.emi": {"beam_energy_keV": 200.0, "camera_length_mm": 490.0, "exposure_s": 0.0625},
    "tia_tem_search.emi": {"magnification": 22500.0, "exposure_s": 0.1, "detector": "BM-Ceta", "defocus_nm": 0.0},
    "tif_fei_helios_FEI-Helios-Ebeam-16bits.tif": {"beam_energy_keV": 5.0, "beam_current_pA": 6.25, "dwell_time_s": 1e-5,
                                                   "stage_y_nm": -194177.0, "acquired": "2016-06-13T17:06:40"},
    "tif_zeiss_test_tiff_Zeiss_SEM_512pix.tif": {"beam_energy_keV": 5.0, "magnification": 50000.0, "detector": "InLens",
                                                 "stage_x_nm": 62996100.0, "acquired": "2018-09-25T08:20:42"},
    "exspy_eds_sem_tm002.hspy": {"beam_energy_keV": 10.0, "elements": ["Al", "C", "Cu", "Mn", "Zr"]},
    "msa_eels_spectrum.msa": {"beam_energy_keV": 120.0, "beam_current_pA": 12345.0, "dwell_time_s": 0.1},
    "jeol_View002_0000001.eds": {"beam_energy_keV": 200.0, "acquired": "2020-07-06T14:59:57"},
    "elid_phenom_sem_eds.elid": {"beam_energy_keV": 15.0, "acquired": "2019-08-07T09:37:31"},
    "blo_4dstem.blo": {"beam_energy_keV": 200.0},
    "merlin_002_merlin_test_roi_sig256x128_nav4x2_hot_pixel_52x_39y.mib": {"exposure_s": 0.001},
}
"""Condition -> value as the vendor's own metadata state it, in the unit of the name."""


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_come_from_the_vendors_metadata_in_one_unit(real_data, name):
    stated = acquisitions(name)[0].attrs["conditions"]
    for condition, value in CONDITIONS[name].items():
        assert stated[condition] == (pytest.approx(value, rel=1e-5) if isinstance(value, float) else value), condition


def test_a_zero_that_cannot_be_is_not_a_condition(real_data):
    """Both files write 0 nA and 0 mrad where nobody measured them."""
    assert "beam_current_pA" not in acquisitions("dm3_stem_image.dm3")[0].attrs["conditions"]
    assert "collection_mrad" not in acquisitions("dm3_eels_spectrum.dm3")[0].attrs["conditions"]


def test_the_tilt_of_one_image_is_not_the_tilt_of_the_series(real_data):
    series = acquisitions("et_haadf.dm3")[0]
    assert "tilt_deg" not in series.attrs["conditions"]
    np.testing.assert_allclose(series.tilt, np.arange(-90.0, 91.0, 2.0))


def test_counts_of_x_rays_are_counts_and_gain_corrected_eels_is_not(real_data):
    assert acquisitions("bcf_tem_edx.bcf")[1].intensity.attrs["units"] == "count"
    assert acquisitions("dm4_eels_si.dm4")[0].intensity.attrs["units"] == "arbitrary"  # one unit is 0.1285 electrons


# --- traps


def test_an_uncalibrated_image_is_never_one_nanometre_per_pixel(real_data):
    camera = acquisitions("tif_fei_helios_FEI-Helios-navcam-with-no-IRBeam.tif")[0]
    assert camera.attrs["uncalibrated"] == ["y", "x"]
    assert camera.x.attrs["units"] == "pixel"


def test_an_origin_that_nobody_set_is_kept_and_said(real_data):
    pattern = acquisitions("tia_saed.emi")[0]
    assert float(pattern.scattering_vector_x[0]) == pytest.approx(-3.2503e9, rel=1e-4)
    assert any("pixels from zero" in w for w in pattern.attrs["warnings"])


def test_rows_of_a_data_bar_are_said(real_data):
    warnings = acquisitions("tif_fei_helios_FEI-Helios-Ebeam-8bits.tif")[0].attrs["warnings"]
    assert warnings == ["the last 29 of 471 rows are the microscope's data bar, not specimen"]


def test_width_and_height_of_a_pixel_are_not_swapped(real_data):
    """HFW / ResolutionX is the width of a pixel; RosettaSciIO 0.15 gives it to the height."""
    with tifffile.TiffFile(EM / "tif_fei_helios_FEI-Helios-navcam.tif") as tiff:
        beam, image = tiff.fei_metadata["IRBeam"], tiff.fei_metadata["Image"]
    camera = acquisitions("tif_fei_helios_FEI-Helios-navcam.tif")[0]
    assert float(camera.x[1]) == pytest.approx(1e9 * beam["HFW"] / image["ResolutionX"], rel=1e-12)
    assert float(camera.y[1]) == pytest.approx(1e9 * beam["VFW"] / image["ResolutionY"], rel=1e-12)
    assert float(camera.x[1]) != float(camera.y[1])


@pytest.mark.parametrize("name", LATER)
def test_a_file_that_nobody_reads_yet_is_one_clear_error(real_data, name):
    with pytest.raises(UnknownFormat) as told:
        open_file(EM / name)
    said = {".rawtlt": "lists 77 tilt angles, -76 to 76 deg", ".mdoc": "describes 2 images"}
    assert str(told.value).startswith(f"{name}: {said.get(Path(name).suffix, 'no reader recognises the content')}")
    assert "\n" not in str(told.value)


def test_the_suffix_decides_nothing(real_data, tmp_path):
    """A CCP4 `.map` goes to RosettaSciIO's JEOL reader by its suffix, which finds nothing and says nothing."""
    assert format_of(EM / "ccpem_emd3197.map").name == "mrc"
    formats = {"dm3_stem_image.dm3": "digitalmicrograph", "ncem_temp.mrc": "mrc", "tif_saved_by_dm.tif": "tiff",
               "velox_tem_stack.emd": "velox-emd", "emd_berkeley_image.emd": "ncem-emd", "bcf_tem_edx.bcf": "bruker"}
    for name, fmt in formats.items():
        shutil.copy(EM / name, tmp_path / "nameless.txt")
        assert format_of(tmp_path / "nameless.txt").name == fmt


@pytest.mark.parametrize("name", ["dm3_stem_image.dm3", "ncem_temp.mrc", "tif_saved_by_dm.tif", "velox_tem_stack.emd",
                                  "emd_berkeley_image.emd", "bcf_tem_edx.bcf", "hspy_spectrum.hspy"])
def test_a_misnamed_file_reads_all_the_same(real_data, tmp_path, name):
    shutil.copy(EM / name, tmp_path / "misnamed.dat")
    for found, known in zip(open_file(tmp_path / "misnamed.dat"), open_file(EM / name), strict=True):
        np.testing.assert_array_equal(found.main.data, known.main.data)


def test_a_data_file_points_to_its_header(real_data, tmp_path):
    with pytest.raises(UnreadableFile, match=r"^tia_saed_1\.ser: is the data part of tia_saed\.emi; read"):
        open_file(EM / "tia_saed_1.ser")
    shutil.copy(EM / "tia_saed_1.ser", tmp_path)
    alone, = open_file(tmp_path / "tia_saed_1.ser")
    assert alone.axes[0].units == "1/nm"  # without its header the numbers would be 1e17 nm per pixel
    assert alone.axes[0].values[1] - alone.axes[0].values[0] == pytest.approx(0.101572, rel=1e-5)


def test_a_header_whose_data_file_is_lost_says_so(real_data, tmp_path):
    shutil.copy(EM / "tia_saed.emi", tmp_path)
    with pytest.raises(UnreadableFile, match=r"its data file tia_saed_1\.ser is not beside it"):
        open_file(tmp_path / "tia_saed.emi")


def test_all_series_of_a_tia_header_arrive_in_order_each_with_its_own_units(real_data, tmp_path):
    """RosettaSciIO reads nine at most, and none in a folder with brackets in its name."""
    folder = tmp_path / "grid [3]"
    folder.mkdir()
    shutil.copy(EM / "tia_tem_search.emi", folder / "many.emi")
    for number in range(1, 12):
        shutil.copy(EM / "tia_tem_search_1.ser", folder / f"many_{number}.ser")
    found = open_file(folder / "many.emi")
    assert len(found) == 11
    assert found[0].conditions["magnification"] == 22500.0
    assert found[0].warnings == ()
    assert found[10].warnings == ("many.emi does not describe many_11.ser: its units are assumed to be metres",)
    (folder / "many_1.ser").write_bytes((folder / "many_1.ser").read_bytes()[:30])
    with pytest.raises(FileError, match=r"^many\.emi: "):
        open_file(folder / "many.emi")


@pytest.mark.parametrize(("name", "wrong"), [("jeol_View002_0000000.img", "a.dat"), ("tia_saed.emi", "a.dat")])
def test_a_reader_that_needs_its_suffix_says_so(real_data, tmp_path, name, wrong):
    shutil.copy(EM / name, tmp_path / wrong)
    with pytest.raises(UnreadableFile, match=r"^a\.dat: is a .* but does not end in "):
        open_file(tmp_path / wrong)


def test_companions_of_a_file_are_known(real_data):
    assert [p.name for p in format_of(EM / "tia_saed.emi").companions(EM / "tia_saed.emi")] == ["tia_saed_1.ser"]
    mib = EM / "merlin_002_merlin_test_roi_sig256x128_nav4x2_hot_pixel_52x_39y.mib"
    assert [p.suffix for p in format_of(mib).companions(mib)] == [".hdr"]


def test_reading_prints_nothing(real_data, capfd):
    open_file(EM / "tif_fei_helios_FEI-Helios-navcam-with-no-IRBeam.tif")  # RosettaSciIO logs to stderr here
    assert capfd.readouterr() == ("", "")


# --- second opinions


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("name", ["dm3_stem_image.dm3", "et_haadf.dm3", "dm4_eels_si.dm4"])
def test_ncempy_reads_the_same_numbers_and_steps_from_dm(real_data, name):
    dm = pytest.importorskip("ncempy.io.dm")
    other = dm.dmReader(str(EM / name))
    ds = acquisitions(name)[0]
    values = ds.intensity.transpose("energy_loss", ...) if "energy_loss" in ds.dims else ds.intensity
    np.testing.assert_array_equal(values, other["data"])
    step = other["pixelSize"][-1] * (1e3 if other["pixelUnit"][-1] in ("um", "µm") else 1.0)
    assert float(ds.x[1] - ds.x[0]) == pytest.approx(step, rel=1e-6)


@pytest.mark.parametrize("name", ["mrc_haadf_scan.mrc", "ncem_temp.mrc", "ccpem_emd3197.map"])
@pytest.mark.filterwarnings("ignore:Map ID string:RuntimeWarning", "ignore:Unrecognised machine stamp:RuntimeWarning")
def test_mrcfile_reads_the_same_numbers_and_steps(real_data, name):
    mrcfile = pytest.importorskip("mrcfile")
    with mrcfile.open(EM / name, permissive=True) as other:
        ds = acquisitions(name)[0]
        np.testing.assert_array_equal(ds.intensity, other.data)
        assert float(ds.x[1]) == pytest.approx(float(other.voxel_size.x) / 10, rel=1e-5)  # stored as float32
        assert float(ds.y[1]) == pytest.approx(float(other.voxel_size.y) / 10, rel=1e-5)


# --- MRC by construction


def write_mrc(path: Path, data, **changes) -> Path:
    """An MRC file of which single bytes of the header are changed: `at=bytes`."""
    mrc_writer.write(path, data, pixel_size_nm=(0.2, 0.1))
    raw = bytearray(path.read_bytes())
    for at, value in changes.items():
        start = int(at.removeprefix("at"))
        raw[start:start + len(value)] = value
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "float32", "float16"])
def test_mrc_gives_back_what_was_written(tmp_path, dtype):
    image = (np.random.default_rng(0).normal(0, 40, (5, 7))).astype(dtype)
    found, = open_file(mrc_writer.write(tmp_path / "a.mrc", image, pixel_size_nm=(0.2, 0.1)))
    np.testing.assert_array_equal(found.main.data, image)
    assert found.main.data.dtype == image.dtype
    assert [a.values[1] for a in found.axes] == pytest.approx([0.2, 0.1])


def test_bytes_of_mrc_are_signed_unless_imod_says_they_are_not(tmp_path):
    image = np.array([[-1, 127], [0, -128]], np.int8)
    signed, = open_file(write_mrc(tmp_path / "a.mrc", image))
    unsigned, = open_file(write_mrc(tmp_path / "b.mrc", image, at152=struct.pack("<2i", 1146047817, 0)))
    np.testing.assert_array_equal(signed.main.data, image)
    np.testing.assert_array_equal(unsigned.main.data, image.view(np.uint8))


def test_values_of_four_bits_are_unpacked_low_half_first_and_row_by_row(tmp_path, monkeypatch):
    """Rows of mode 101 begin on whole bytes (IMOD): five columns take three."""
    values = np.random.default_rng(0).integers(0, 16, (2, 3, 5), np.uint8)
    padded = np.pad(values, ((0, 0), (0, 0), (0, 1)))
    packed = padded[..., 0::2] | padded[..., 1::2] << 4
    head = bytearray(write_mrc(tmp_path / "a.mrc", np.zeros((3, 5), np.float32)).read_bytes()[:1024])
    head[8:16] = struct.pack("<2i", 2, 101)
    (tmp_path / "a.mrc").write_bytes(bytes(head) + packed.tobytes())
    np.testing.assert_array_equal(open_file(tmp_path / "a.mrc")[0].main.data, values)
    read_late(monkeypatch)
    lazy = open_file(tmp_path / "a.mrc")[0].main.data
    np.testing.assert_array_equal(np.asarray(lazy[1, :, 2:]), values[1, :, 2:])


def test_pairs_of_whole_numbers_are_complex(tmp_path):
    parts = np.arange(24, dtype=">i2").reshape(3, 4, 2)
    head = np.frombuffer(write_mrc(tmp_path / "a.mrc", np.zeros((3, 4), np.float32)).read_bytes()[:208], "<u4").astype(">u4")
    head[3] = 3
    (tmp_path / "a.mrc").write_bytes(head.tobytes() + b"MAP \x11\x11\0\0" + bytes(1024 - 216) + parts.tobytes())
    np.testing.assert_array_equal(open_file(tmp_path / "a.mrc")[0].main.data, parts[..., 0] + 1j * parts[..., 1])


def test_a_big_endian_mrc_reads_like_a_little_endian_one(tmp_path):
    image = np.arange(12, dtype=np.int16).reshape(3, 4)
    little = write_mrc(tmp_path / "a.mrc", image).read_bytes()
    words = np.frombuffer(little[:208], "<u4").astype(">u4").tobytes()
    (tmp_path / "b.mrc").write_bytes(words + b"MAP \x11\x11\0\0" + bytes(1024 - 216) + image.astype(">i2").tobytes())
    found, = open_file(tmp_path / "b.mrc")
    np.testing.assert_array_equal(found.main.data, image)
    assert found.main.data.dtype.isnative
    assert found.axes[1].values[1] == pytest.approx(0.1)


@pytest.mark.parametrize("cell", [(-4.0, -4.0, 1.0), (0.0, 0.0, 0.0), (float("nan"), float("inf"), 1.0)])
def test_a_cell_that_cannot_be_means_uncalibrated(tmp_path, cell):
    """Direct Electron writes -1 nm per pixel where nobody calibrated."""
    ds, = read_acquisitions(write_mrc(tmp_path / "a.mrc", np.ones((4, 4), np.float32), at40=struct.pack("<3f", *cell)))
    assert ds.attrs["uncalibrated"] == ["y", "x"]
    assert ds.x.attrs["units"] == "pixel"


def test_a_foreign_extended_header_of_128_kib_is_not_taken_for_that_of_fei(tmp_path):
    """RosettaSciIO tells the FEI header by its length alone, and reads the pixel size from bytes that mean something else."""
    plain = write_mrc(tmp_path / "a.mrc", np.ones((4, 4), np.float32)).read_bytes()
    head = bytearray(plain[:1024])
    head[92:96], head[104:108] = struct.pack("<i", 131072), b"SERI"
    (tmp_path / "b.mrc").write_bytes(bytes(head) + bytes(131072) + plain[1024:])
    ds, = read_acquisitions(tmp_path / "b.mrc")
    assert float(ds.x[1]) == pytest.approx(0.1)


def test_a_stack_of_images_is_no_volume(tmp_path):
    data = np.zeros((3, 4, 5), np.float32)
    stack, = read_acquisitions(mrc_writer.write(tmp_path / "a.mrc", data, pixel_size_nm=(0.2, 0.2)))
    volume, = read_acquisitions(mrc_writer.write(tmp_path / "b.mrc", data, pixel_size_nm=(0.2, 0.2), z_step_nm=0.5))
    assert stack.intensity.dims == ("frame", "y", "x")
    assert volume.intensity.dims == ("z", "y", "x")
    assert float(volume.z[1]) == pytest.approx(0.5)


def test_columns_of_a_map_may_be_any_axis(tmp_path):
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    mrc_writer.write(tmp_path / "a.map", data, pixel_size_nm=(0.2, 0.1), z_step_nm=0.5)
    found, = open_file(write_mrc_order(tmp_path / "a.map", (3, 2, 1)))
    assert [a.name for a in found.axes] == ["x", "y", "z"]


def write_mrc_order(path: Path, order: tuple[int, int, int]) -> Path:
    raw = bytearray(path.read_bytes())
    raw[64:76] = struct.pack("<3i", *order)
    path.write_bytes(raw)
    return path


def test_tilt_angles_come_from_the_files_beside_a_stack(tmp_path):
    angles = np.array([-60.0, -1.5, 0.0, 40.0])
    path = mrc_writer.write_tilt_series(tmp_path / "series.mrc", np.ones((4, 5, 6), np.float32), tilt_deg=angles,
                                        pixel_size_nm=(0.5, 0.5), dose_e_per_A2=2.0, beam_energy_keV=300.0)
    ds, = read_acquisitions(path)
    np.testing.assert_allclose(ds.tilt, angles)
    assert ds.attrs["conditions"] == {"beam_energy_keV": 300.0, "dose_e_per_A2": 2.0}
    assert {p.name for p in format_of(path).companions(path)} == {"series.mrc.mdoc", "series.rawtlt"}
    (tmp_path / "series.mrc.mdoc").unlink()
    np.testing.assert_allclose(read_acquisitions(path)[0].tilt, angles)
    (tmp_path / "series.rawtlt").write_text("1\n2\n")
    ds, = read_acquisitions(path)
    assert ds.intensity.dims == ("frame", "y", "x")
    assert any("lists 2 tilts for 4 images" in w for w in ds.attrs["warnings"])


def test_a_list_of_tilts_makes_a_stack_of_what_its_header_calls_a_volume_but_not_of_a_reconstruction(tmp_path):
    stack = np.ones((3, 5, 6), np.float32)
    for name, technique in (("series.mrc", "tilt_series"), ("series.rec", "tomogram")):
        path = mrc_writer.write(tmp_path / name, stack, pixel_size_nm=(0.5, 0.5), z_step_nm=0.5)
        assert read_acquisitions(path)[0].attrs["technique"] == "tomogram"
        path.with_suffix(".rawtlt").write_text("-60\n0\n60\n")
        assert read_acquisitions(path)[0].attrs["technique"] == technique
        path.with_suffix(".rawtlt").unlink()


@pytest.mark.parametrize("listed", [False, True])
def test_tilts_of_the_fei_header_of_before_2014_are_those_of_its_first_records(tmp_path, listed):
    """1024 records of 32 numbers, however few images there are; a list beside the file comes first."""
    path = mrc_writer.write(tmp_path / "old.mrc", np.ones((3, 5, 6), np.int16), pixel_size_nm=(0.1, 0.1))
    raw = bytearray(path.read_bytes())
    raw[92:96], raw[104:108] = struct.pack("<i", 131072), bytes(4)
    records = np.zeros((1024, 32), "<f4")
    records[:3, 0], records[:3, 11] = [-60, 0, 60], 2e-9
    path.write_bytes(bytes(raw[:1024]) + records.tobytes() + bytes(raw[1024:]))
    if listed:
        path.with_suffix(".rawtlt").write_text("-61\n1\n62\n")
    ds, = read_acquisitions(path)
    assert ds.attrs["technique"] == "tilt_series"
    np.testing.assert_allclose(ds.tilt, [-61, 1, 62] if listed else [-60, 0, 60])
    assert float(ds.x[1] - ds.x[0]) == pytest.approx(2.0)


def test_frames_of_one_exposure_are_no_tilt_series(tmp_path):
    """SerialEM notes a section for each frame, all of them at the tilt of the exposure."""
    path = mrc_writer.write_tilt_series(tmp_path / "movie.mrc", np.ones((4, 5, 6), np.float32),
                                        tilt_deg=np.full(4, -0.0005), pixel_size_nm=(0.5, 0.5), dose_e_per_A2=2.0,
                                        beam_energy_keV=300.0)
    ds, = read_acquisitions(path)
    assert ds.intensity.dims == ("frame", "y", "x")


def test_a_list_of_tilts_belongs_to_any_stack_that_has_as_many_images(tmp_path):
    tifffile.imwrite(tmp_path / "series.tif", np.ones((3, 4, 5), np.uint16), photometric="minisblack")
    (tmp_path / "series.rawtlt").write_text("-60\n0\n60\n")
    ds, = read_acquisitions(tmp_path / "series.tif")
    assert ds.attrs["technique"] == "tilt_series"
    np.testing.assert_allclose(ds.tilt, [-60, 0, 60])


# --- TIFF by construction


@pytest.mark.parametrize("unit", ["nm", "um", "micron", "\\u00B5m"])
def test_imagej_knows_other_units_than_microns(tmp_path, unit):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((4, 6), np.uint16), imagej=True, resolution=(2.0, 4.0), metadata={"unit": unit})
    ds, = read_acquisitions(path)
    times = 1.0 if unit == "nm" else 1e3
    assert (float(ds.x[1]), float(ds.y[1])) == pytest.approx((0.5 * times, 0.25 * times))


def test_dots_per_inch_are_no_calibration(tmp_path):
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, np.ones((4, 6), np.uint16), resolution=(300, 300), resolutionunit="INCH")
    assert read_acquisitions(path)[0].attrs["uncalibrated"] == ["y", "x"]


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"byteorder": ">"}, {"bigtiff": True}])
def test_tiff_pages_read_lazily_whatever_their_layout(tmp_path, monkeypatch, options):
    stack = np.random.default_rng(0).integers(0, 999, (3, 40, 50), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", **options)
    eager, = open_file(tmp_path / "a.tif")
    read_late(monkeypatch)
    lazy, = open_file(tmp_path / "a.tif")
    assert hasattr(lazy.main.data, "dask")
    np.testing.assert_array_equal(np.asarray(lazy.main.data), stack)
    np.testing.assert_array_equal(eager.main.data, stack)


# --- HDF5 by construction


def test_a_cube_in_ncem_emd_comes_back_as_it_was_written(tmp_path):
    counts = np.random.default_rng(0).poisson(3.0, (3, 4, 5)).astype(np.uint16)
    dims = [("y", "nm", 2.0 * np.arange(3)), ("x", "nm", 1.0 * np.arange(4)), ("energy_loss", "eV", 50 + 0.5 * np.arange(5))]
    path = ncem_emd.write(tmp_path / "a.emd", counts, dims, beam_energy_keV=300.0, microscope={"dwell_time_s": 0.01})
    ds, = read_acquisitions(path)
    assert ds.intensity.dims == ("y", "x", "energy_loss")
    np.testing.assert_array_equal(ds.intensity, counts)
    assert ds.attrs["conditions"] == {"beam_energy_keV": 300.0, "dwell_time_s": 0.01}


def test_blocks_of_one_emd_file_are_not_stacked_because_their_names_resemble_each_other(tmp_path):
    dims = [("y", "nm", np.arange(3.0)), ("x", "nm", np.arange(4.0))]
    path = ncem_emd.write(tmp_path / "a.emd", np.ones((3, 4)), dims, name="map")
    with h5py.File(path, "a") as file:
        file.copy("data/map", "data/map_2")
    assert [s.shape for s in open_file(path)] == [(4, 3), (4, 3)]


def test_a_lost_chunk_of_a_lazy_file_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / "a.emd"
    dims = [("y", "nm", np.arange(40.0)), ("x", "nm", np.arange(200.0))]
    ncem_emd.write(path, np.random.default_rng(0).integers(0, 9999, (40, 200), np.uint16), dims)
    with h5py.File(path) as file:
        chunk = file["data/signal/data"].id.get_chunk_info(0)
    raw = bytearray(path.read_bytes())
    raw[chunk.byte_offset:chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(raw)
    monkeypatch.setattr(rosetta, "LAZY_ABOVE_BYTES", 0)
    ds, = read_acquisitions(path)
    with pytest.raises(FileError, match=r"^a\.emd: cannot be read further"):
        ds.load()


# --- Ripple


def test_ripple_without_units_is_in_electronvolts_per_channel(tmp_path):
    path = ripple.write(tmp_path / "a.rpl", np.ones((2, 3, 8), np.uint16), pixel_size_nm=None, channel_keV=None)
    path.write_text(path.read_text(encoding="latin-1") + "ev-per-chan\t10\n", encoding="latin-1")
    ds, = read_acquisitions(path)
    assert ds.intensity.dims == ("y", "x", "xray_energy")
    assert float(ds.xray_energy[1]) == pytest.approx(0.01)


def test_emsa_after_iso_22029_2022_has_its_unit_behind_a_label_and_none_behind_its_keywords(tmp_path):
    """Two points a line, units in brackets; a dwell time is in ms and a current in nA, whether the keyword says so or not."""
    header = {"FORMAT": "EMSA/MAS Spectral Data File", "VERSION": "TC202v2.0", "TITLE": "O K", "NPOINTS": 5, "NCOLUMNS": 2,
              "XUNITS": "Energy Loss (eV)", "YUNITS": "Intensity", "DATATYPE": "XY", "XPERCHAN": 3.1, "OFFSET": 520.0,
              "SIGNALTYPE": "ELS", "BEAMKV": 120.0, "PROBECUR": 12.345, "DWELLTIME": 100.0, "SPECTRUM": "here"}
    rows = "520.0, 40.0, 523.1, 39.0\n526.2, 38.0, 529.3, 37.0\n532.4, 56.0\n"
    path = tmp_path / "iso.msa"
    path.write_text("".join(f"#{k} : {v}\n" for k, v in header.items()) + rows + "#ENDOFDATA : x\n")
    ds, = read_acquisitions(path)
    assert ds.attrs["technique"] == "eels"
    np.testing.assert_allclose(ds["energy_loss"], [520.0, 523.1, 526.2, 529.3, 532.4])
    np.testing.assert_array_equal(ds["intensity"], [40, 39, 38, 37, 56])
    assert ds.attrs["conditions"]["dwell_time_s"] == pytest.approx(0.1)
    assert ds.attrs["conditions"]["beam_current_pA"] == pytest.approx(12345.0)


def test_a_ripple_header_whose_data_are_short_or_lost_says_so(tmp_path):
    path = ripple.write(tmp_path / "a.rpl", np.ones((2, 3, 8), np.uint16), pixel_size_nm=(1.0, 1.0), channel_keV=0.01)
    raw = path.with_suffix(".raw")
    assert format_of(path).companions(path) == (raw,)
    raw.write_bytes(raw.read_bytes()[:50])
    with pytest.raises(UnreadableFile, match=r"^a\.raw: is truncated: the file has 50 bytes, its header promises 96"):
        open_file(path)
    raw.unlink()
    with pytest.raises(UnreadableFile, match=r"^a\.rpl: the data file of the same name, ending in \.raw, is not beside it"):
        open_file(path)


# --- EDAX and EMPAD by construction


def test_a_map_of_edax_is_calibrated_by_the_spectrum_beside_it(tmp_path):
    path = rosetta_examples.edax_example(tmp_path)
    ds, = read_acquisitions(path)
    assert ds.attrs["technique"] == "edx"
    assert ds.intensity.dims == ("y", "x", "xray_energy")
    np.testing.assert_array_equal(ds.intensity, rosetta_examples.COUNTS)
    assert float(ds.xray_energy[1]) == pytest.approx(0.01)
    assert ds.attrs["conditions"]["beam_energy_keV"] == 20.0
    spectrum, = read_acquisitions(path.with_suffix(".spc"))
    np.testing.assert_array_equal(spectrum.intensity, rosetta_examples.COUNTS.sum((0, 1)))


def test_footers_of_empad_are_no_part_of_its_patterns(tmp_path):
    ds, = read_acquisitions(rosetta_examples.empad_example(tmp_path))
    assert ds.attrs["technique"] == "stem_4d"
    assert ds.intensity.dims == ("y", "x", "scattering_vector_y", "scattering_vector_x")
    np.testing.assert_array_equal(ds.intensity.mean(("scattering_vector_y", "scattering_vector_x")), [[0, 1], [2, 3]])
    assert float(ds.x[1]) == pytest.approx(10.0)


# --- Bruker streams by construction


def bcf_stream(*lines: list[tuple[int, list[int]]], width: int = 4) -> bytes:
    """A stream of spectra: for each line, (x, channels of its pulses) packed in 16 bit."""
    stream = struct.pack("<2I", len(lines), width) + bytes(rosetta_bcf.FIRST_LINE - 8)
    for pixels in lines:
        stream += struct.pack("<I", len(pixels))
        for x, channels in pixels:
            data = np.array(channels, "<u2").tobytes()
            stream += rosetta_bcf.PIXEL.pack(x, 16, 16, 0, 0, len(data), len(channels), len(data)) + data
    return stream


def test_more_counts_in_a_pixel_than_its_mean_suggests_do_not_wrap_around(tmp_path):
    """RosettaSciIO takes one byte per count where twice the mean fits: 300 pulses in one bright pixel would become 44."""
    stream = bcf_stream([(0, [5] * 300), (3, [1])], [])
    lines, largest = rosetta_bcf.walk(tmp_path / "a.bcf", stream, (2, 4, 16))
    assert largest == 300
    cube = rosetta_bcf.parsed(stream[lines[0]:lines[-1]], 2, (2, 4, 16), np.min_scalar_type(largest))
    assert cube[0, 0, 5] == 300
    assert cube.sum() == 301


def test_a_map_read_in_bands_is_the_map_read_at_once(real_data, monkeypatch):
    at_once = open_file(EM / "bcf_tem_edx.bcf")[1].main.data
    monkeypatch.setattr(rosetta, "LAZY_ABOVE_BYTES", 0)
    monkeypatch.setattr(rosetta_bcf, "BAND_BYTES", 64 * 2048 * 10)
    lazy = open_file(EM / "bcf_tem_edx.bcf")[1].main.data
    assert lazy.numblocks == (7, 1, 1)
    np.testing.assert_array_equal(np.asarray(lazy), at_once)


@pytest.mark.parametrize("damage", ["outside the map", "longer than the stream", "too many pixels", "too many lines",
                                    "nothing"])
def test_a_damaged_stream_is_refused_before_the_compiled_parser_sees_it(tmp_path, damage):
    stream = bytearray(bcf_stream([(0, [5, 6]), (1, [7])], [(2, [8])]))
    first = rosetta_bcf.FIRST_LINE
    if damage == "outside the map":
        stream[first + 4:first + 8] = struct.pack("<I", 99)
    if damage == "longer than the stream":
        stream[first + 4 + 18:first + 4 + 22] = struct.pack("<I", 1 << 30)
    if damage == "too many pixels":
        stream[first:first + 4] = struct.pack("<I", 1 << 30)
    if damage == "too many lines":
        stream[0:4] = struct.pack("<I", 1 << 30)
    if damage == "nothing":
        stream = stream[:10]
    with pytest.raises(UnreadableFile, match=r"^a\.bcf: .* in the spectrum image"):
        rosetta_bcf.walk(tmp_path / "a.bcf", bytes(stream), (2, 4, 16))


# --- larger than memory, and dangerous


def test_a_large_mrc_is_not_read_until_its_pixels_are_asked_for(tmp_path):
    path = tmp_path / "movie.mrc"
    mrc_writer.write(path, np.ones((1, 2048, 2048), np.float32), pixel_size_nm=(0.1, 0.1))
    raw = bytearray(path.read_bytes()[:1024])
    raw[8:12] = struct.pack("<i", 64)  # 1 GiB of zeros that take no room on disk
    with path.open("wb") as file:
        file.write(raw)
        file.truncate(1024 + 64 * 2048 * 2048 * 4)
    tracemalloc.start()
    found, = open_file(path)
    corner = np.asarray(found.main.data[3, :8, :8])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.main.data.nbytes == 1 << 30
    assert corner.shape == (8, 8)
    assert peak < 200 << 20


class Canary:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_is_never_loaded(tmp_path):
    """Panta Rhei before 24.03 pickled its metadata, and numpy may hold pickles in any array."""
    trap = np.array([Canary(str(tmp_path / "sprung"))], dtype=object)
    numbers = np.arange(6.0).reshape(2, 3)
    for name, data, metadata in (("old.prz", numbers, trap), ("worse.prz", trap, trap)):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for part, array in (("data.npy", data), ("meta_data.npy", metadata)):
                with archive.open(part, "w") as file:
                    np.lib.format.write_array(file, array, allow_pickle=True)
    old, = open_file(tmp_path / "old.prz")
    np.testing.assert_array_equal(old.main.data, numbers)
    assert any("no meta data can be loaded" in w for w in old.warnings)
    with pytest.raises(FileError, match=r"^worse\.prz: "):
        open_file(tmp_path / "worse.prz")
    assert not (tmp_path / "sprung").exists()


def test_a_truncated_phenom_project_is_refused_and_does_not_wait_for_ever(real_data, tmp_path):
    raw = (EM / "elid_phenom_sem_eds.elid").read_bytes()
    (tmp_path / "cut.elid").write_bytes(raw[:-50])
    with pytest.raises(UnreadableFile, match=r"^cut\.elid: is truncated"):
        open_file(tmp_path / "cut.elid")


def test_a_stopped_merlin_acquisition_says_how_far_it_went(real_data, tmp_path):
    name = "merlin_002_merlin_test_roi_sig256x128_nav4x2_hot_pixel_52x_39y"
    shutil.copy(EM / f"{name}.hdr", tmp_path)
    raw = (EM / f"{name}.mib").read_bytes()
    (tmp_path / f"{name}.mib").write_bytes(raw[:len(raw) // 2])
    stopped, = open_file(tmp_path / f"{name}.mib")
    assert stopped.shape == (4, 128, 256)
    assert stopped.warnings == ("4 of the 8 planned frames are read: the acquisition was stopped or is incomplete",)


def test_formats_state_the_version_of_their_reader():
    assert all(fmt.version for fmt in FORMATS)


@pytest.mark.parametrize(("signal_type", "units", "technique"), [
    ("hologram", "nm", "tem_image"), ("electron_diffraction", "1/nm", "saed"), ("diffraction2d", "1/nm", "saed"),
])
def test_signal_types_of_hyperspys_extensions_say_what_was_recorded(tmp_path, signal_type, units, technique):
    with h5py.File(rosetta_examples.hspy_example(tmp_path), "r+") as file:
        experiment = next(iter(file["Experiments"].values()))
        experiment["metadata/Signal"].attrs["signal_type"] = signal_type
        del experiment["data"], experiment["axis-2"]
        experiment["data"] = np.ones((8, 9), np.float32)
        for i, size in enumerate((8, 9)):
            experiment[f"axis-{i}"].attrs.update(size=size, units=units, scale=0.5)
        path = Path(file.filename)
    ds, = read_acquisitions(path)
    assert ds.attrs["technique"] == technique
