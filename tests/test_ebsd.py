"""EBSD files of every vendor become maps with one meaning of phase, angle and position."""

import h5py
import numpy as np
import pytest
from conftest import REAL_DATA

from datasets.acquisition import read_acquisitions
from datasets.errors import UnreadableFile
from datasets.formats import open_file
from datasets.formats.electrons import edax_patterns, emsoft
from datasets.formats.electrons.ctf import USUAL
from datasets.writers import ang

EM = REAL_DATA / "em"
NICKEL = (3.52, 3.52, 3.52, 90.0, 90.0, 90.0)


def ang_map(tmp_path, shape=(3, 5), step_um=1.5, confidence=None, header=(), **more):
    angles = np.linspace(0, np.pi, shape[0] * shape[1] * 3).reshape(*shape, 3)
    path = ang.write(tmp_path / "a.ang", angles, step_um=step_um, quality=np.full(shape, 40.0), phase_name="Nickel",
                     confidence=np.full(shape, 0.5) if confidence is None else confidence, formula="Ni", cell=NICKEL, **more)
    if header:
        path.write_text("".join(f"# {line}\n" for line in header) + path.read_text())
    return path, angles


def ctf_text(rows, *, head=("XCells\t3", "YCells\t2", "XStep\t0.5", "YStep\t0.5"), names=USUAL):
    return "\n".join(["Channel Text File", "Prj\ta", "JobMode\tGrid", *head,
                      "Euler angles refer to Sample Coordinate system (CS0)!\t"
                      "Mag\t64\tCoverage\t100\tDevice\t0\tKV\t17\tTiltAngle\t70\tTiltAxis\t0", "Phases\t1",
                      "4.03;4.03;4.03\t90;90;90\tLithium fluoride\t11\t225", "\t".join(names), *rows]) + "\n"


def grid_rows(ny=2, nx=3, step=0.5):
    return [f"1\t{step * j}\t{step * i}\t7\t0\t{10 * j}\t20\t{30 * i}\t0.4\t100\t90" for i in range(ny) for j in range(nx)]


# --- .ang


def test_an_ang_map_has_its_grid_its_step_and_angles_in_degrees(tmp_path):
    path, angles = ang_map(tmp_path)
    ds, = read_acquisitions(path)
    assert ds.attrs["technique"] == "ebsd"
    assert ds.phase.dims == ("y", "x")
    assert (float(ds.y[1]), float(ds.x[1])) == pytest.approx((1500.0, 1500.0))
    for i in range(3):
        # the file has five decimals of a radian
        np.testing.assert_allclose(ds[f"euler_{i + 1}"], np.rad2deg(angles[..., i]), atol=np.rad2deg(1e-5))
    assert ds.attrs["conditions"]["phases"] == ["Nickel"]


def test_a_point_that_was_not_indexed_has_phase_zero_whatever_the_file_writes_there(tmp_path):
    confidence = np.full((3, 5), 0.5)
    confidence[1, 2] = -1
    path, _ = ang_map(tmp_path, confidence=confidence)
    text = path.read_text()
    ds, = read_acquisitions(path)
    assert int(ds.phase[1, 2]) == 0
    assert int((ds.phase == 1).sum()) == 14
    # TSL numbers the only phase of a map 0, and so are its points that were not indexed
    path.write_text("\n".join(line if line.startswith("#") else " ".join([*line.split()[:7], "0", *line.split()[8:]])
                              for line in text.splitlines()))
    only, = read_acquisitions(path)
    np.testing.assert_array_equal(only.phase, ds.phase)


def test_positions_of_astar_are_in_nanometres(tmp_path):
    path, _ = ang_map(tmp_path, step_um=2.0, header=["File created from ACOM RES results"])
    ds, = read_acquisitions(path)
    assert float(ds.x[1]) == pytest.approx(2.0)
    assert "correlation_index" in ds


def test_a_cropped_map_keeps_its_grid_and_says_what_is_missing(tmp_path):
    path, _ = ang_map(tmp_path, shape=(4, 5))
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-8] + lines[-7:]))
    ds, = read_acquisitions(path)
    assert ds.phase.shape == (4, 5)
    assert int(ds.phase[2, 2]) == 0
    assert np.isnan(ds.euler_1[2, 2])
    assert any("1 of 4 x 5 points" in w for w in ds.attrs["warnings"])
    assert any("promises 4 x 5 points, the file has 19" in w for w in ds.attrs["warnings"])


def test_a_hexagonal_grid_is_kept_as_points(tmp_path):
    path, _ = ang_map(tmp_path, shape=(4, 5))
    rows = []
    for line in path.read_text().splitlines():
        words = line.split()
        if words[0] != "#" and round(float(words[4]) / 1.5) % 2:
            words[3] = str(float(words[3]) + 0.75)
        rows.append(" ".join(words).replace("SqrGrid", "HexGrid"))
    path.write_text("\n".join(rows))
    ds, = read_acquisitions(path)
    assert ds.attrs["technique"] == "ebsd_points"
    assert ds.phase.dims == ("position",)
    assert ds.x.attrs["units"] == "nm"
    assert float(ds.x[5]) == pytest.approx(750.0)


# --- .ctf


def test_decimal_commas_are_decimals(tmp_path):
    path = tmp_path / "a.ctf"
    path.write_text(ctf_text([row.replace(".", ",") for row in grid_rows()], head=("XCells\t3", "YCells\t2", "XStep\t0,5",
                                                                                   "YStep\t0,5")))
    ds, = read_acquisitions(path)
    assert ds.phase.shape == (2, 3)
    assert float(ds.x[1]) == pytest.approx(500.0)
    assert float(ds.mean_angular_deviation[0, 0]) == pytest.approx(0.4)


def test_rows_with_fewer_values_than_names_say_what_is_absent(tmp_path):
    path = tmp_path / "a.ctf"
    path.write_text(ctf_text([row.rpartition("\t")[0] for row in grid_rows()]))
    ds, = read_acquisitions(path)
    assert "band_slope" not in ds
    assert any("BS is absent" in w for w in ds.attrs["warnings"])


def test_points_may_be_in_any_order(tmp_path):
    path, rows = tmp_path / "a.ctf", grid_rows()
    path.write_text(ctf_text(rows))
    expected, = read_acquisitions(path)
    path.write_text(ctf_text(rows[::-1]))
    ds, = read_acquisitions(path)
    np.testing.assert_array_equal(ds.euler_1, expected.euler_1)
    np.testing.assert_array_equal(ds.euler_3, expected.euler_3)


def test_a_file_without_points_is_one_clear_error(tmp_path):
    path = tmp_path / "a.ctf"
    path.write_text(ctf_text([]))
    with pytest.raises(UnreadableFile, match=r"^a\.ctf: has a header and no points"):
        open_file(path)


# --- HDF5


def test_the_region_of_interest_of_bruker_is_put_in_its_place(tmp_path):
    """Points 4, 1, 2, 5, 7, 8 of a map of 3 x 3, as in the test file of kikuchipy."""
    path = tmp_path / "a.h5"
    row, column = np.array([1, 0, 0, 1, 2, 2]), np.array([1, 1, 2, 2, 1, 2])
    patterns = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 5), np.uint8)
    with h5py.File(path, "w") as file:
        file["Manufacturer"] = np.bytes_("Bruker Nano")
        data = file.create_group("Scan 0/EBSD/Data")
        data["RawPatterns"], data["Phase"], data["phi1"] = patterns, np.ones(6, np.int32), np.arange(6, dtype=np.float32)
        for name, value in (("NROWS", 3), ("NCOLS", 3), ("XSTEP", 1.5), ("YSTEP", 1.5), ("KV", 20.0)):
            file[f"Scan 0/EBSD/Header/{name}"] = value
        file["Scan 0/EBSD/SEM/IX"], file["Scan 0/EBSD/SEM/IY"] = column, row
    stack, found = read_acquisitions(path)
    assert stack.intensity.dims == ("y", "x", "detector_y", "detector_x")
    assert stack.attrs["conditions"]["beam_energy_keV"] == 20.0
    for i, (r, c) in enumerate(zip(row, column - 1, strict=True)):
        assert float(found.euler_1[r, c]) == i  # degrees
        assert (stack.intensity[r, c] == i).all()


def test_angles_of_oxford_are_in_radians_and_both_kinds_of_patterns_are_named(tmp_path):
    path = tmp_path / "a.h5oina"
    with h5py.File(path, "w") as file:
        file["Manufacturer"] = b"Oxford Instruments"
        data = file.create_group("1/EBSD/Data")
        data["Euler"], data["Phase"] = np.full((6, 3), np.pi / 2, np.float32), np.array([0, 1, 1, 1, 2, 2], np.uint8)
        data["Processed Patterns"] = data["Unprocessed Patterns"] = np.ones((6, 4, 4), np.uint8)
        for name, value in (("X Cells", 3), ("Y Cells", 2), ("X Step", 0.1), ("Y Step", 0.1), ("Beam Voltage", 15.0)):
            file[f"1/EBSD/Header/{name}"] = value
        for number, name in ((1, b"Li"), (2, b"LiF")):
            file[f"1/EBSD/Header/Phases/{number}/Phase Name"] = name
    stack, found = read_acquisitions(path)
    assert stack.intensity.shape == (2, 3, 4, 4)
    assert any("Unprocessed Patterns" in w for w in stack.attrs["warnings"])
    np.testing.assert_allclose(found.euler_2, 90.0, rtol=1e-6)
    assert found.attrs["conditions"]["phases"] == ["Li", "LiF"]
    assert int((found.phase == 0).sum()) == 1


def test_patterns_of_kikuchipy_come_with_the_map_that_orix_put_beside_them(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["manufacturer"], file["version"] = b"kikuchipy", b"0.13"
        file["Scan 1/EBSD/Data/patterns"] = np.arange(6 * 16, dtype=np.uint8).reshape(6, 4, 4)
        for name, value in (("n_rows", 2), ("n_columns", 3), ("step_x", 1.5), ("step_y", 1.5)):
            file[f"Scan 1/EBSD/Header/{name}"] = value
        group = file.create_group("Scan 1/EBSD/CrystalMap/crystal_map")
        group["data/phase_id"] = np.array([0, 0, -1, 1, 1, 1])
        group["data/x"], group["data/y"] = np.tile([0, 1.5, 3.0], 2), np.repeat([0, 1.5], 3)
        group["data/phi1"], group["header/y_step"], group["header/x_step"] = np.full(6, np.pi), 1.5, 1.5
        group["header/phases/0/name"], group["header/phases/1/name"] = b"a", b"b"
    stack, found = read_acquisitions(path)
    assert stack.intensity.shape == (2, 3, 4, 4)
    np.testing.assert_array_equal(found.phase, [[1, 1, 0], [2, 2, 2]])
    np.testing.assert_allclose(found.euler_1, 180.0)


def test_columns_of_different_length_are_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["Manufacturer"] = b"EDAX"
        file["Scan 1/EBSD/Data/Phase"], file["Scan 1/EBSD/Data/IQ"] = np.ones(6, np.int8), np.ones(5)
    with pytest.raises(UnreadableFile, match="different lengths: 5, 6"):
        open_file(path)


# --- NORDIF


def test_patterns_without_their_setting_file_are_refused(tmp_path):
    (tmp_path / "Pattern.dat").write_bytes(bytes(9 * 60 * 60))
    with pytest.raises(UnreadableFile, match=r"Setting\.txt, which is not beside it"):
        open_file(tmp_path / "Pattern.dat")


# --- real files


def test_real_maps_have_the_figures_that_orix_reads(real_data):
    """`ebsd_sdss_ferrite_austenite.ang`: CrystalMap 100x117, step 1.5 µm (manifest, orix 0.15)."""
    ds, = read_acquisitions(EM / "ebsd_sdss_ferrite_austenite.ang")
    assert ds.phase.shape == (100, 117)
    assert (float(ds.y[1]), float(ds.x[1])) == pytest.approx((1500.0, 1500.0))
    assert sorted(np.unique(ds.phase)) == [1, 2]
    assert [name.split("/")[0] for name in ds.attrs["conditions"]["phases"]] == ["austenite", "ferrite"]
    assert float(ds.euler_1[0, 0]) == pytest.approx(np.rad2deg(3.54788))


def test_a_real_channel_text_file_that_orix_cannot_read(real_data):
    ds, = read_acquisitions(EM / "ebsd_testdata_sqr.ctf")
    assert ds.phase.shape == (30, 30)
    assert float(ds.x[0]) == pytest.approx(1000.0)
    assert ds.attrs["conditions"] == {"beam_energy_keV": 17.0, "magnification": 64.0, "tilt_deg": 70.0,
                                      "phases": ["Glaucophane"]}


def test_scattered_points_are_no_map_of_a_billion_cells(real_data):
    """orix 0.15 reads 617 points of `ebsd_eclogite.ctf` as a map of 776239 x 375 without a word."""
    ds, = read_acquisitions(EM / "ebsd_eclogite.ctf")
    assert ds.attrs["technique"] == "ebsd_points"
    assert ds.sizes == {"position": 617}
    assert float(ds.x[0]) == pytest.approx(87890.0)
    assert len(ds.attrs["conditions"]["phases"]) == 7


def test_real_patterns_stand_on_their_map(real_data):
    patterns, found, image = read_acquisitions(EM / "ebsd_edax_patterns.h5")
    with h5py.File(EM / "ebsd_edax_patterns.h5") as file:
        stored = file["Scan 1/EBSD/Data/Pattern"][()]
        angle = file["Scan 1/EBSD/Data/Phi1"][()]
    np.testing.assert_array_equal(patterns.intensity.to_numpy().reshape(9, 60, 60), stored)
    np.testing.assert_allclose(found.euler_1.to_numpy().ravel(), np.rad2deg(angle), rtol=1e-6)
    assert image.attrs["technique"] == "sem_image"


def test_real_patterns_of_nordif_need_their_setting_file(real_data, tmp_path):
    (tmp_path / "Pattern.dat").write_bytes((EM / "ebsd_nordif_Pattern.dat").read_bytes())
    (tmp_path / "Setting.txt").write_text("[NORDIF]\t\t\n[Acquisition settings]\nResolution\t60x60\tpx\n[Area]\n"
                                          "Step size\t1.500\tµm\nNumber of samples\t3x3\t#\n", encoding="latin-1")
    ds, = read_acquisitions(tmp_path / "Pattern.dat")
    assert ds.intensity.shape == (3, 3, 60, 60)
    raw = np.fromfile(EM / "ebsd_nordif_Pattern.dat", np.uint8)
    np.testing.assert_array_equal(ds.intensity.to_numpy().ravel(), raw)


# --- patterns in binary files of their own


def test_patterns_of_edax_stand_on_the_map_of_their_header(tmp_path):
    path = edax_patterns.example(tmp_path)
    ds, = read_acquisitions(path)
    raw = np.frombuffer(path.read_bytes()[42:], "<u2").reshape(3, 4, 10, 8)
    assert ds.attrs["technique"] == "ebsd_patterns"
    assert ds.intensity.dims == ("y", "x", "detector_y", "detector_x")
    assert (float(ds.y[1]), float(ds.x[1])) == pytest.approx((2000.0, 1000.0))
    np.testing.assert_array_equal(ds.intensity, raw)


def test_patterns_of_edax_without_a_map_are_kept_one_after_another(tmp_path):
    patterns = np.arange(5 * 6 * 7, dtype=np.uint8)
    old = tmp_path / "old.up1"
    old.write_bytes(edax_patterns.FIRST_HEADER.pack(1, 7, 6, 16) + patterns.tobytes())
    hexagonal = tmp_path / "hexagonal.up1"
    hexagonal.write_bytes(edax_patterns.FIRST_HEADER.pack(3, 7, 6, 42) + edax_patterns.MAP_HEADER.pack(2, 3, True, 1.0, 0.87)
                          + patterns.tobytes())
    for path, word in ((old, "does not say where"), (hexagonal, "hexagonal grid of 2 x 3")):
        ds, = read_acquisitions(path)
        assert ds.intensity.dims == ("position", "detector_y", "detector_x")
        np.testing.assert_array_equal(ds.intensity.to_numpy().ravel(), patterns)
        assert word in " ".join(ds.attrs["warnings"])


def test_patterns_of_edax_that_are_not_all_there_or_of_an_unknown_version_are_refused(tmp_path):
    path = edax_patterns.example(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(UnreadableFile, match=r"holds 11 patterns of 8 x 10, its header promises 12"):
        open_file(path)
    path.write_bytes(b"\2" + whole[1:])
    with pytest.raises(UnreadableFile, match="version 2"):
        open_file(path)


def oxford(path, *, version=2, upwards=False, left_out=(), compressed=0):
    """2 x 3 points of 4 x 5 pixels, each pattern filled with its number, written in reverse."""
    numbers = [i for i in reversed(range(6)) if i not in left_out]
    list_at = {0: 0, 1: 8, 2: 8, 4: 9, 5: 9}[version]
    down = -0.5 if upwards else 0.5
    records = []
    for i in numbers:
        head = np.array([*((i % 3, i // 3) if version >= 5 else ()), compressed, 4, 5, 20], "<i4").tobytes()
        beam = [np.float64(place).tobytes() for place in (0.5 * (i % 3), down * (i // 3))]
        foot = b"" if version == 0 else b"".join(beam) if version == 1 else b"".join(b"\1" + one for one in beam)
        records.append(head + bytes([i]) * 20 + foot)
    first = list_at + 6 * 8
    starts = [first + len(records[0]) * numbers.index(i) if i in numbers else 0 for i in range(6)]
    lead = b"" if version == 0 else np.int64(-version).tobytes() + b"\0" * (list_at - 8)
    path.write_bytes(lead + np.array(starts, "<i8").tobytes() + b"".join(records))
    return path


@pytest.mark.parametrize("version", [1, 2, 4, 5])
@pytest.mark.parametrize("upwards", [False, True])
def test_patterns_of_oxford_stand_where_the_beam_was_however_they_were_written(tmp_path, version, upwards):
    ds, = read_acquisitions(oxford(tmp_path / "a.ebsp", version=version, upwards=upwards))
    assert ds.intensity.shape == (2, 3, 4, 5)
    np.testing.assert_array_equal(ds.intensity[..., 0, 0], np.arange(6).reshape(2, 3))
    assert (float(np.diff(ds.y)[0]), float(np.diff(ds.x)[0])) == pytest.approx((500.0, 500.0))


def test_points_of_oxford_without_a_pattern_are_zero_and_said(tmp_path):
    ds, = read_acquisitions(oxford(tmp_path / "a.ebsp", left_out=(0, 4)))
    np.testing.assert_array_equal(ds.intensity[..., 0, 0], [[0, 1, 2], [3, 0, 5]])
    assert "2 of 6 points have no pattern" in ds.attrs["warnings"]


def test_the_first_version_of_oxford_has_no_places(tmp_path):
    ds, = read_acquisitions(oxford(tmp_path / "a.ebsp", version=0))
    assert ds.intensity.dims == ("position", "detector_y", "detector_x")
    assert set(ds.intensity[:, 0, 0].to_numpy()) == set(range(6))


def test_compressed_and_truncated_patterns_of_oxford_are_refused(tmp_path):
    with pytest.raises(UnreadableFile, match="compressed"):
        open_file(oxford(tmp_path / "a.ebsp", compressed=1))
    path = oxford(tmp_path / "b.ebsp")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UnreadableFile, match="truncated"):
        open_file(path)


def test_a_flat_map_of_orix_has_one_z_for_all_and_may_hold_several_solutions(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["manufacturer"] = np.bytes_("orix")
        data, header = file.create_group("crystal_map/data"), file.create_group("crystal_map/header")
        data["phase_id"], data["z"] = np.zeros(6, int), np.zeros(1)
        data["x"], data["y"] = np.tile(np.arange(3.0), 2), np.repeat(np.arange(2.0), 3)
        for i, name in enumerate(("phi1", "Phi", "phi2")):
            data[name] = np.full((6, 4), [0.1 * (i + 1), 9, 9, 9])
        header["scan_unit"], header["x_step"], header["y_step"] = np.bytes_("um"), 1.0, 1.0
    ds, = read_acquisitions(path)
    assert ds.phase.shape == (2, 3)
    np.testing.assert_allclose(ds.euler_3, np.rad2deg(0.3))


def test_simulated_patterns_come_with_their_orientations(tmp_path):
    path = emsoft.example(tmp_path)
    patterns, points = read_acquisitions(path)
    assert (patterns.attrs["technique"], points.attrs["technique"]) == ("ebsd_patterns", "ebsd_points")
    assert patterns.intensity.shape == (6, 8, 10)
    with h5py.File(path) as file:
        np.testing.assert_allclose(points.euler_2, np.rad2deg(file[emsoft.ANGLES][:, 1]), rtol=1e-6)
    assert patterns.attrs["conditions"] == {"beam_energy_keV": 20.0, "phases": ["nickel"]}
