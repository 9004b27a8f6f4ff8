"""X-ray microscopy files: real ones of SSRL, APS and ALS, and what their formats allow."""

import h5py
import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.xrays import data_exchange as exchange
from datasets.formats.xrays import nexus_xray, stxm_hdr, xdi
from datasets.formats.xrays.photon_energy import energy_in_name, role_in_name
from datasets.writers import data_exchange

XRADIA = [
    # file, shape, pixel in nm, highest value, energy in eV, its source, exposure in s
    ("ssrl_rep01_sample_08324.0_eV_001of003.xrm", (1024, 1024), 31.2, 1586, 8324.0, "file name", 0.5),
    ("ssrl_rep01_sample_08354.0_eV_001of003.xrm", (1024, 1024), 31.2, 1584, 8354.0, "file name", 0.5),
    ("ssrl_rep01_ref_08324.0_eV_001of010.xrm", (1024, 1024), 31.2, 2744, 8324.0, "file name", 0.3),
    ("ssrl_rep01_ref_08354.0_eV_001of010.xrm", (1024, 1024), 31.2, 2938, 8354.0, "file name", 0.3),
    ("xanespy_mosaic_4x4_bin8.xrm", (1024, 1024), 155.79, 538, 8412.98, "metadata", 5.0),
    ("dxchange_txrm_test_chip_tomo.txrm", (7, 256, 256), 155.79, 476, 9200.02, "metadata", 5.0),
]


def folder(real_data):
    return real_data / "afm_txm_apt" / "txm"


@pytest.mark.parametrize(("file", "shape", "pixel", "highest", "energy", "source", "exposure"), XRADIA,
                         ids=[x[0] for x in XRADIA])
def test_a_real_xradia_file_has_its_pixels_and_energy_and_says_where_the_energy_is_from(
        real_data, file, shape, pixel, highest, energy, source, exposure):
    (ds,) = read_acquisitions(folder(real_data) / file)
    assert ds.attrs["technique"] == "txm"
    assert ds["intensity"].shape == shape
    assert ds["intensity"].dtype == np.uint16
    assert int(ds["intensity"].max()) == highest
    for axis in "yx":
        assert float(ds[axis][1]) == pytest.approx(pixel, abs=6e-3)
    assert ds.attrs["conditions"]["photon_energy_eV"] == pytest.approx(energy, abs=6e-3)
    assert ds.attrs["vendor"]["photon_energy_source"] == source
    assert ds.attrs["conditions"]["exposure_s"] == pytest.approx(exposure)


def test_a_tilt_series_has_its_angles_and_says_that_one_energy_stands_for_all(real_data):
    (ds,) = read_acquisitions(folder(real_data) / "dxchange_txrm_test_chip_tomo.txrm")
    assert ds["tilt"].attrs["units"] == "deg"
    assert (float(ds["tilt"][0]), float(ds["tilt"][-1])) == (pytest.approx(-45.018, abs=1e-3), pytest.approx(44.986, abs=1e-3))
    assert any("stated for 1 of 7 images" in w for w in ds.attrs["warnings"])


def test_a_mosaic_that_says_sixteen_images_is_one(real_data):
    (ds,) = read_acquisitions(folder(real_data) / "xanespy_mosaic_4x4_bin8.xrm")
    assert any("a mosaic of 16 images, stitched to one" in w for w in ds.attrs["warnings"])


def test_a_cathode_absorbs_more_above_the_nickel_edge_than_below(real_data):
    """Optical density with one flat each, 99th percentile: 1.336 at 8324 eV, 2.007 at 8354 eV, by another program."""
    density = {}
    for energy in ("08324.0", "08354.0"):
        (sample,) = read_acquisitions(folder(real_data) / f"ssrl_rep01_sample_{energy}_eV_001of003.xrm")
        (flat,) = read_acquisitions(folder(real_data) / f"ssrl_rep01_ref_{energy}_eV_001of010.xrm")
        assert any("flat field" in w for w in flat.attrs["warnings"])
        ratio = sample.attrs["conditions"]["exposure_s"] / flat.attrs["conditions"]["exposure_s"]
        transmission = sample["intensity"].values / np.maximum(flat["intensity"].values, 1) / ratio
        density[energy] = np.percentile(-np.log(np.clip(transmission, 1e-6, None)), [50, 99])
    assert density["08354.0"][1] - density["08324.0"][1] == pytest.approx(2.007 - 1.336, abs=0.02)
    assert density["08354.0"][0] == pytest.approx(density["08324.0"][0], abs=0.1)  # the median is background


def test_a_real_reference_spectrum_has_its_energies_and_says_how_it_was_known(real_data):
    (ds,) = read_acquisitions(folder(real_data) / "ssrl_NCA_xanes.csv")
    assert ds.attrs["technique"] == "xas"
    assert ds.sizes == {"photon_energy": 61}
    assert (float(ds["photon_energy"][0]), float(ds["photon_energy"][-1])) == (8250.0, 8640.0)
    assert 8340 < float(ds["photon_energy"][int(ds["absorption"].values.argmax())]) < 8360  # the white line of nickel
    assert any("states nothing" in w for w in ds.attrs["warnings"])


def test_bare_columns_without_a_name_are_not_taken_for_a_spectrum(real_data, tmp_path):
    path = tmp_path / "columns.csv"
    path.write_bytes((folder(real_data) / "ssrl_NCA_xanes.csv").read_bytes())
    with pytest.raises(FileError, match="no reader recognises"):
        open_file(path)


def test_a_real_stxm_stack_has_its_places_counts_and_energies_and_names_what_is_missing(real_data):
    for file in ("cosmic_stxm-scan.hdr", "cosmic_stxm-scan_a003.xim"):
        (ds,) = read_acquisitions(folder(real_data) / file)
        assert ds.attrs["technique"] == "txm"
        counts = ds["intensity"]
        assert counts.shape[-2:] == (120, 120)
        assert (float(counts.min()), float(counts.max())) == (6098, 19571)
        assert counts.attrs["units"] == "count"
        assert float(np.diff(ds["x"]).mean()) == pytest.approx(27.18, abs=0.01)
        assert ds.attrs["conditions"]["dwell_time_s"] == 0.004
    (stack,) = read_acquisitions(folder(real_data) / "cosmic_stxm-scan.hdr")
    assert stack["photon_energy"].values.tolist() == [853.0]
    assert stack.attrs["warnings"] == ["image 19 (857.75 eV) not beside the header"]


def test_a_real_tomography_has_its_projections_flats_and_darks(real_data):
    data, flat, dark = read_acquisitions(real_data / "afm_txm_apt" / "tomo" / "tomopy_tooth.h5")
    assert {ds.attrs["technique"] for ds in (data, flat, dark)} == {"txm"}
    assert data["intensity"].dims == ("tilt", "y", "x")
    assert data["intensity"].shape == (181, 2, 640)
    assert flat["intensity"].shape == dark["intensity"].shape == (10, 2, 640)
    assert float(data["tilt"][-1]) == pytest.approx(179.0055, abs=1e-4)
    assert data["intensity"].attrs["units"] == "count"
    assert float(dark["intensity"].mean()) < float(data["intensity"].mean()) < float(flat["intensity"].mean())
    assert data.attrs["uncalibrated"] == ["y", "x"]


def test_the_virtual_specimens_stack_is_read_as_written(tmp_path):
    rng = np.random.default_rng(0)
    stack = rng.poisson(4000, (5, 12, 16)).astype(np.uint16)
    energy = np.array([520.0, 530.0, 531.0, 532.0, 540.0])
    path = data_exchange.write(tmp_path / "a.h5", stack, white=stack[:2], dark=stack[:1] // 100, energy_eV=energy,
                               pixel_size_nm=(30.0, 40.0), exposure_s=1.0, sample="A1")
    data, flat, dark = read_acquisitions(path)
    np.testing.assert_array_equal(data["intensity"], stack)
    np.testing.assert_array_equal(data["photon_energy"], energy)
    np.testing.assert_array_equal(flat["intensity"], stack[:2])
    np.testing.assert_array_equal(dark["intensity"], stack[:1] // 100)
    assert (float(data["y"][1]), float(data["x"][1])) == (30.0, 40.0)
    assert data.attrs["conditions"]["exposure_s"] == 1.0
    assert data.attrs["vendor"]["sample"] == "A1"
    assert flat.attrs["title"].endswith("flat field")


def test_a_large_stack_is_read_when_it_is_used(tmp_path):
    path = tmp_path / "large.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("exchange/data", shape=(40, 512, 512), dtype="u2", chunks=(1, 512, 512), compression="gzip")
        data[...] = np.arange(512, dtype=np.uint16) % 5
        data[3] = 7
        file["exchange/theta"] = np.arange(40.0)
    (signal,) = open_file(path)
    assert not isinstance(signal.main.data, np.ndarray)
    (ds,) = read_acquisitions(path)
    assert ds["intensity"][3].values.min() == 7
    assert any("theta has no unit" in w for w in ds.attrs["warnings"])


def test_an_energy_in_kev_is_the_same_energy(tmp_path):
    path = exchange.example(tmp_path)
    with h5py.File(path, "a") as file:
        file["measurement/instrument/monochromator/energy"] = 8.333
        file["measurement/instrument/monochromator/energy"].attrs["units"] = "keV"
    ds = read_acquisitions(path)[0]
    assert ds.attrs["conditions"]["photon_energy_eV"] == pytest.approx(8333.0)
    assert ds.attrs["vendor"]["photon_energy_source"] == "metadata"


@pytest.mark.parametrize(("name", "energy"), [
    ("rep01_000351_ref_20161456_ssrl-test-data_08354.0_eV_001of010.xrm", 8354.0), ("sample_8354eV.xrm", 8354.0),
    ("a_8.333keV_b", None), ("a_11.5keV", 11500.0), ("a_0531p2_eV.hdr", 531.2), ("movie_level_3", None),
    ("8300_eV_8400_eV", None), ("grain_123_8keV", None), ("a_5eV", None), ("eV", None),
    ("test_sample_xanes0_8353_0eV.xrm", 8353.0),
    ("run_12_0eV", None), ("a_0531P2_eV.hdr", 531.2),
])
def test_an_energy_in_a_name_is_taken_only_where_it_is_one(name, energy):
    """8.333keV has one digit before the point: too short to be told from a version, so it is left out."""
    assert energy_in_name(name) == energy


@pytest.mark.parametrize(("name", "role"), [
    ("rep01_ref_2016", "flat field"), ("flat-001", "flat field"), ("dark_01", "dark field"), ("reflection", ""),
    ("prefix_sample", ""), ("darkness", "")])
def test_a_role_in_a_name_is_a_word_of_its_own(name, role):
    assert role_in_name(name) == role


def test_an_stxm_stack_needs_its_images_and_each_must_fit(tmp_path):
    path = stxm_hdr.example(tmp_path)
    (ds,) = read_acquisitions(path)
    assert ds["photon_energy"].values.tolist() == [853.0, 857.75]
    np.testing.assert_array_equal(ds["intensity"][1, 2], 1020 + np.arange(6))
    (tmp_path / "example_a001.xim").write_text("1 2 3\n")
    with pytest.raises(FileError, match=r"^example_a001\.xim: holds 1 x 3 numbers"):
        open_file(path)
    for file in tmp_path.glob("*.xim"):
        file.unlink()
    with pytest.raises(FileError, match="has no image beside it"):
        open_file(path)


def test_a_nexus_tomography_is_split_by_its_image_keys(tmp_path):
    data, flat, dark = read_acquisitions(nexus_xray.example(tmp_path))
    assert data["tilt"].values.tolist() == [0, 60, 120]
    np.testing.assert_array_equal(data["intensity"], np.arange(480).reshape(5, 8, 12)[2:])
    assert flat.attrs["title"].endswith("flat field")
    np.testing.assert_array_equal(dark["intensity"], np.arange(96).reshape(1, 8, 12))


def test_a_nexus_stxm_stack_has_its_energies_and_places(tmp_path):
    """Laid out as the definition NXstxm says; no real file was to be had."""
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry1")
        entry.attrs["NX_class"] = "NXentry"
        entry["definition"] = "NXstxm"
        counter = entry.create_group("counter0")
        counter.attrs["NX_class"] = "NXdata"
        counter["data"] = np.arange(24.0).reshape(2, 3, 4)
        counter["energy"], counter["sample_y"], counter["sample_x"] = [280.0, 285.0], np.arange(3) * 0.05, np.arange(4) * 0.05
        for name in ("sample_y", "sample_x"):
            counter[name].attrs["units"] = "um"
    (ds,) = read_acquisitions(path)
    assert ds.attrs["technique"] == "txm"
    assert ds["intensity"].dims == ("photon_energy", "y", "x")
    assert ds["photon_energy"].values.tolist() == [280.0, 285.0]
    assert float(ds["x"][1]) == pytest.approx(50.0)


def test_a_scan_that_counts_its_own_axes_is_laid_out_by_them(tmp_path):
    """As Diamond I08 writes NXstxm; two axes of one length can only be told by the numbers of the axes."""
    path = tmp_path / "a.nxs"
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry1")
        entry.attrs["NX_class"] = "NXentry"
        entry["definition"] = np.array([b"NXstxm"])
        counter = entry.create_group("Counter1")
        counter.attrs["NX_class"] = "NXdata"
        counter["data"] = np.arange(36.0).reshape(3, 4, 3)
        for name, values, axis in (("photon_energy", [710.0, 711.0, 712.0], 3), ("sample_x", np.arange(4) * 1e-4, 2),
                                   ("sample_y", np.arange(3) * 1e-4, 1)):
            counter[name] = values
            counter[name].attrs["axis"] = axis
    (ds,) = read_acquisitions(path)
    assert ds["intensity"].transpose("y", "x", "photon_energy").values.tolist() == np.arange(36.0).reshape(3, 4, 3).tolist()
    assert ds["photon_energy"].values.tolist() == [710.0, 711.0, 712.0]
    assert {"x", "y"} <= set(ds.attrs["uncalibrated"]), "the file states no unit of length"


def test_a_scan_whose_file_names_neither_class_nor_definition_is_told_by_its_axes(tmp_path):
    """As SOLEIL's Hermes writes it; such an array over energies is no image of electrons."""
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        counter = file.create_group("entry1/Counter0")
        counter["data"] = np.arange(24.0).reshape(2, 3, 4)
        counter["energy"], counter["sample_y"], counter["sample_x"] = [280.0, 285.0], np.arange(3.0), np.arange(4.0)
    (ds,) = read_acquisitions(path)
    assert ds.attrs["technique"] == "txm"
    assert ds["photon_energy"].values.tolist() == [280.0, 285.0]


def test_a_master_file_without_its_images_is_only_the_table_of_a_scan(real_data):
    found = read_acquisitions(folder(real_data) / "savu_24888.nxs")
    angles = [ds for ds in found if "ss1_rot" in ds.attrs["title"]]
    assert angles[0]["intensity"].size == 111
    assert float(angles[0]["intensity"][0]) == pytest.approx(-89.1, abs=1e-3)
    assert all(ds.attrs["technique"] == "unknown" for ds in found)


def test_a_real_ptychography_has_modulus_phase_and_energies(real_data):
    ptycho, stxm = read_acquisitions(folder(real_data) / "als_ptycho_high_energy.h5")
    assert ptycho["intensity"].shape == (2, 228, 228)
    assert stxm["intensity"].shape == (2, 20, 20)
    np.testing.assert_allclose(ptycho["photon_energy"], [843.907, 847.9065], atol=1e-3)
    with h5py.File(folder(real_data) / "als_ptycho_high_energy.h5") as file:
        stored = file["NS_160406074/imported/intensities"][0]
    np.testing.assert_allclose(ptycho["intensity"] * np.exp(1j * ptycho["phase_shift"]), stored, rtol=1e-5)


def test_bare_columns_cut_within_a_line_say_so(tmp_path):
    rows = [f"{energy:.1f},{0.1 * energy:.3f}" for energy in np.arange(700.0, 720.0)]
    whole, cut = "\n".join(rows) + "\n", "\n".join(rows[:12])[:-2]
    said = []
    for name, text in (("whole_xanes.csv", whole), ("cut_xanes.csv", cut)):
        (tmp_path / name).write_text(text)
        (ds,) = read_acquisitions(tmp_path / name)
        said.append(any("cut off" in warning for warning in ds.attrs["warnings"]))
    assert said == [False, True]


def test_an_xdi_spectrum_in_transmission_is_the_logarithm_of_its_two_counters(tmp_path):
    (ds,) = read_acquisitions(xdi.example(tmp_path))
    assert ds.attrs["technique"] == "xas"
    assert ds["photon_energy"].values[[0, -1]].tolist() == [8300.0, 8395.0]
    np.testing.assert_allclose(ds["absorption"], 0.1 + (ds["photon_energy"] > 8333), atol=1e-6)
    assert {"i0", "itrans"} <= set(ds.data_vars)


def test_a_monochromator_angle_is_an_energy(tmp_path):
    """Si 111, d = 3.13553 angstrom: 14.31 degrees are 8000 eV (Bragg)."""
    path = xdi.example(tmp_path)
    angle = np.rad2deg(np.arcsin(12398.42 / (2 * 3.13553 * np.array([8000.0, 8100.0]))))
    head = path.read_text().replace("energy eV", "angle degrees").split(" 8300.0")[0]
    path.write_text(head + "".join(f"{a:.6f} 1000 500\n" for a in angle))
    (ds,) = read_acquisitions(path)
    np.testing.assert_allclose(ds["photon_energy"], [8000.0, 8100.0], rtol=1e-6)


def two_regions(folder, energies, counters=("counts",)):
    """A header of two regions, 2 x 3 points at 0 and 4 x 2 at 10 um, and its images: 1000 region + 100 energy + place."""
    def axis(kind, unit, points, name="Sample"):
        return f'{kind} = {{ Name = "{name}"; Unit = "{unit}"; Points = ({len(points)}, {", ".join(map(str, points))});\n}};\n'

    regions = ([0.0, 0.1], [0.0, 0.1, 0.2]), ([10.0, 10.1, 10.2, 10.3], [10.0, 10.2])
    places = ",\n".join("{ " + axis("PAxis", "um", x) + axis("QAxis", "um", y) + "}" for y, x in regions)
    flags = "Multi-Region Image Stack" if len(energies) > 1 else "Multi-Region Image"
    channels = ", ".join(f'{{ ID = 4; UnitName = "{unit}";}}' for unit in counters)
    images = [f"Image{i:03d}_{r} = {{Energy = {e + 0.01 * r:.2f};}};\n" for i, e in enumerate(energies) for r in range(2)]
    (folder / "m.hdr").write_text(
        f'ScanDefinition = {{ Label = "m.hdr"; Type = "NEXAFS Image Scan"; Flags = "{flags}"; Dwell = 1;\n'
        f"Regions = (2,\n{places});\n" + axis("StackAxis", "eV", energies, "Energy") +
        f"}};\nChannels = ({len(counters)},\n{channels});\n" + "".join(images))
    for region, (y, x) in enumerate(regions):
        for i in range(len(energies)):
            table = 1000 * region + 100 * i + np.arange(len(y) * len(x)).reshape(len(y), len(x))
            for letter in "abc"[:len(counters)]:
                name = f"m_{letter}{i:03d}{region}.xim" if len(energies) > 1 else f"m_{letter}{region}.xim"
                np.savetxt(folder / name, table, "%d")
    return folder / "m.hdr"


def test_every_region_of_an_stxm_stack_arrives_at_its_own_place_and_its_own_energies(tmp_path):
    first, second = read_acquisitions(two_regions(tmp_path, [700.0, 710.0, 720.0]))
    assert (first.attrs["title"], second.attrs["title"]) == ("m region 0", "m region 1")
    assert first.attrs["technique"] == second.attrs["technique"] == "txm"
    assert first["intensity"].shape == (3, 2, 3)
    assert second["intensity"].shape == (3, 4, 2)
    np.testing.assert_array_equal(second["intensity"][2], 1200 + np.arange(8).reshape(4, 2))
    np.testing.assert_allclose(second["photon_energy"], [700.01, 710.01, 720.01])
    np.testing.assert_allclose(second["x"], [10_000, 10_200])  # um to nm
    np.testing.assert_allclose(first["y"], [0, 100], atol=1e-9)
    assert second.attrs["vendor"]["region"] == 1


def test_every_region_and_channel_of_an_stxm_image_arrives_with_its_own_unit(tmp_path):
    found = read_acquisitions(two_regions(tmp_path, [700.0], ("counts", "pA")))
    assert [ds.attrs["title"] for ds in found] == ["m region 0", "m region 0 b", "m region 1", "m region 1 b"]
    assert [ds["intensity"].shape[-2:] for ds in found] == [(2, 3), (2, 3), (4, 2), (4, 2)]
    assert [ds["intensity"].attrs["units"] for ds in found] == ["count", "arbitrary", "count", "arbitrary"]
    assert "channel b is in pA: its numbers are kept as they are" in found[1].attrs["warnings"]


def test_an_image_of_one_region_read_on_its_own_lies_where_that_region_is(tmp_path):
    two_regions(tmp_path, [700.0, 710.0])
    (ds,) = read_acquisitions(tmp_path / "m_a0011.xim")
    assert ds["intensity"].shape == (4, 2)
    assert float(ds["x"][0]) == pytest.approx(10_000)
    assert ds.attrs["conditions"]["photon_energy_eV"] == pytest.approx(710.01)


def test_regions_without_images_are_named(tmp_path):
    path = two_regions(tmp_path, [700.0, 710.0])
    for file in tmp_path.glob("m_a*1.xim"):
        file.unlink()
    (ds,) = read_acquisitions(path)
    said = " ".join(ds.attrs["warnings"])
    assert "image 0 of region 1 (700.01 eV), image 1 of region 1 (710.01 eV) not beside the header" in said
    assert "no image of region 1 is beside the header" in said
    (tmp_path / "m_a7.xim").write_text("1 2\n")
    assert any("m_a7.xim belongs to none of the 2 regions" in w for w in read_acquisitions(path)[0].attrs["warnings"])


def test_a_header_that_describes_fewer_regions_than_it_declares_is_refused(tmp_path):
    path = two_regions(tmp_path, [700.0])
    path.write_text(path.read_text().replace("Regions = (2", "Regions = (3"))
    with pytest.raises(FileError, match=r"^m\.hdr: declares 3 regions and describes 2"):
        open_file(path)


def test_in_a_line_scan_one_axis_is_the_energy(tmp_path):
    (tmp_path / "l.hdr").write_text(
        'ScanDefinition = { Label = "l.hdr"; Type = "NEXAFS Line Scan"; Flags = "Image"; Dwell = 1;\nRegions = (1,\n'
        '{ PAxis = { Name = "Energy"; Unit = "eV"; Points = (4, 700, 710, 720, 730); };\n'
        'QAxis = { Name = "Sample"; Unit = "um"; Points = (2, 0, 0.1); };\n});\n'
        'StackAxis = { Name = "Energy"; Unit = "eV"; Points = (1, 700); };\n};\nImage000_0 = {Energy = 700.00;};\n')
    np.savetxt(tmp_path / "l_a.xim", np.arange(8).reshape(2, 4), "%d")
    (ds,) = read_acquisitions(tmp_path / "l.hdr")
    assert ds.attrs["technique"] == "unknown"
    assert ds["photon_energy"].values.tolist() == [700, 710, 720, 730]
    assert "photon_energy_eV" not in ds.attrs["conditions"]
