"""What is published is whole, stays as it was, and is found again."""

import json
import math
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import sparse
import xarray as xr
import zarr

from datasets.errors import DamagedStore, DatasetError, FileError, StoreConflict, StoreError
from datasets.provenance import RawHash, sha256_of
from datasets.store import Store
from datasets.streaming import Source, regions, release


def spectrum(value=1.0, **attrs):
    energy = np.linspace(280.0, 300.0, 200)
    return xr.Dataset({"intensity": ("binding_energy", np.full(200, value), {"units": "count"})},
                      {"binding_energy": ("binding_energy", energy, {"units": "eV"})},
                      {"technique": "xps", "title": "C 1s", "sample": "A17", "conditions": {"photon_energy_eV": 1486.6},
                       **attrs})


def picture(n=1200, seed=0):
    values = np.random.default_rng(seed).poisson(50, (n, n)).astype("u2")
    axis = 0.5 * np.arange(n)
    return xr.Dataset({"intensity": (("y", "x"), values, {"units": "count"})},
                      {d: (d, axis, {"units": "nm"}) for d in "yx"}, {"technique": "stem_image", "sample": "A17"})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "study", create=True)


def folder_of(store, unit):
    return store.root / "objects" / unit / f"{store.current(unit).version}.zarr"


def damage(store):
    return [d for d in store.verify() if not d.is_note]


EVERYTHING = xr.Dataset(
    {"zz_first": ("row", [1.0, np.nan, 3.0], {"units": "nm"}), "text": ("row", np.array(["Li", "", "µ-Å"], object)),
     "flag": ("row", [True, False, True]), "when": ("row", np.array(["2026-01-01", "2026-01-02", "NaT"], "M8[ns]")),
     "impedance": ("row", np.array([1 + 1j, 2, -3j])), "scalar": ((), 2.5), "count": ((), np.int64(3)),
     "aa_last": ("row", [1, 2, 3])},
    {"row": ["a", "b", "c"], "time": ("row", [0.0, 1.0, 2.0], {"units": "s"}), "name with space": ("row", [4, 5, 6])},
    {"conditions": {"dose_e_per_A2": 20.0, "elements": ["Li", "F"]}, "vendor": {"deep": [{"er": [1, None, "é"]}]}})


def test_what_is_opened_is_what_was_published(store):
    store.publish("A17/table-0", EVERYTHING, kind="descriptors")
    opened = store.open("A17/table-0")
    assert opened.load().identical(EVERYTHING)
    assert list(opened.data_vars) == list(EVERYTHING.data_vars)
    assert {n: v.dtype for n, v in opened.variables.items() if v.dtype.kind != "O"} == {
        n: v.dtype for n, v in EVERYTHING.variables.items() if v.dtype.kind not in "OUT"}


def test_any_xarray_opens_a_unit_without_this_platform(store):
    store.publish("A17/haadf-0", picture(), kind="acquisition")
    plain = xr.open_zarr(folder_of(store, "A17/haadf-0"))
    plain.attrs.pop("ome")
    assert plain.load().identical(picture())


def test_opening_is_lazy_and_needs_no_dask(store):
    store.publish("A17/haadf-0", picture(), kind="acquisition")
    opened = store.open("A17/haadf-0")
    assert opened.intensity.chunks is None
    assert not opened.intensity.variable._in_memory
    assert opened.intensity[3:5, 7:9].shape == (2, 2)


@pytest.mark.parametrize("path", ["intensity", "y", "levels/1/intensity", "levels/1/x", "text"])
def test_every_chunk_ends_in_a_checksum(store, path):
    store.publish("u", picture(2100).assign(text=("row", ["a"])), kind="acquisition")
    codecs = zarr.open_array(folder_of(store, "u") / path, mode="r").metadata.to_dict()["codecs"]
    if codecs[0]["name"] == "sharding_indexed":
        inner = codecs[0]["configuration"]
        assert inner["index_codecs"][-1]["name"] == "crc32c"
        codecs = inner["codecs"]
    assert codecs[-1]["name"] == "crc32c"


def test_zarr_reads_the_chunks_as_if_it_had_written_them(store):
    shapes = {("y", "x"): (2500, 3000), ("z", "y", "x"): (70, 130, 300), ("y", "x", "energy_loss"): (40, 50, 300),
              ("frame", "y", "x"): (9, 300, 200), ("time",): (400_001,), ("spectrum", "energy_loss"): (3000, 700)}
    for dims, shape in shapes.items():
        values = np.random.default_rng(0).normal(size=shape)
        store.publish("u", xr.Dataset({"v": (dims, values)}), kind="acquisition")
        array = zarr.open_array(folder_of(store, "u") / "v", mode="r")
        np.testing.assert_array_equal(array[...], values)
        shards = array.shards or array.chunks
        manifest = json.loads(folder_of(store, "u").with_suffix(".json").read_text())
        assert manifest["chunks"]["v"] == math.prod(math.ceil(n / s) for n, s in zip(shape, shards, strict=True))


def test_images_are_cut_for_the_screen(store):
    store.publish("u", picture(2500), kind="acquisition")
    array = zarr.open_array(folder_of(store, "u") / "intensity", mode="r")
    assert (array.chunks, array.shards) == ((512, 512), (2048, 2048))


def test_each_publication_is_a_version_and_the_old_ones_stay(store):
    versions = [store.publish("A17/c1s-0", spectrum(v), kind="acquisition") for v in (1.0, 2.0, 3.0)]
    assert store.history("A17/c1s-0") == versions
    assert store.current("A17/c1s-0") == versions[-1]
    assert [float(store.open("A17/c1s-0", v.version).intensity[0]) for v in versions] == [1.0, 2.0, 3.0]


def test_publishing_the_same_twice_does_nothing(store):
    parent = store.publish("A17/c1s-0", spectrum(), kind="acquisition")
    assert store.publish("A17/c1s-0", spectrum(), kind="acquisition") == parent
    again = store.publish("A17/c1s-0", spectrum(2.0), kind="acquisition")
    derived = store.publish("d", spectrum(), kind="descriptors", parents={"A17/c1s-0": parent.version})
    moved = store.publish("d", spectrum(), kind="descriptors", parents={"A17/c1s-0": again.version})
    assert derived.version != moved.version
    assert not list(store.root.rglob(".tmp-*"))


def test_what_must_be_made_again_is_known(store):
    first = store.publish("a", spectrum(1.0), kind="acquisition")
    store.publish("d", spectrum(), kind="descriptors", parents={"a": first.version})
    assert store.stale() == {}
    second = store.publish("a", spectrum(2.0), kind="acquisition")
    assert store.stale() == {"d": ["a"]}
    store.publish("d", spectrum(), kind="descriptors", parents={"a": second.version})
    assert store.stale() == {}


def test_a_parent_must_exist(store):
    with pytest.raises(StoreError, match="its parent a has no version v000001"):
        store.publish("d", spectrum(), kind="descriptors", parents={"a": "v000001-00000000"})


def test_the_loser_of_a_race_gets_an_error_and_changes_nothing(store):
    base = store.publish("u", spectrum(0.0), kind="acquisition")

    def overtake(fraction):
        if store.current("u") == base:
            Store(store.root).publish("u", spectrum(1.0), kind="acquisition")

    with pytest.raises(StoreConflict, match=r"u: v000002-\w+ is current, but v000001-\w+ was to be followed"):
        store.publish("u", spectrum(2.0), kind="acquisition", progress=overtake)
    assert float(store.open("u").intensity[0]) == 1.0
    assert len(store.history("u")) == 2
    assert store.verify() == []


def test_a_unit_that_must_not_exist_yet_is_not_overwritten(store):
    store.publish("u", spectrum(), kind="acquisition", expected=None)
    with pytest.raises(StoreConflict, match="to be followed"):
        store.publish("u", spectrum(2.0), kind="acquisition", expected=None)
    with pytest.raises(StoreConflict):
        store.publish("u", spectrum(2.0), kind="acquisition", expected="v000009-00000000")


def _writer(root, number, queue):
    store = Store(root)
    won = 0
    for i in range(8):
        try:
            store.publish("u", spectrum(100.0 * number + i), kind="acquisition")
            won += 1
        except StoreConflict:
            pass
    queue.put(won)


def test_two_writers_of_one_unit_lose_nothing(store):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    writers = [context.Process(target=_writer, args=(store.root, n, queue)) for n in (1, 2)]
    for writer in writers:
        writer.start()
    won = sum(queue.get(timeout=120) for _ in writers)
    for writer in writers:
        writer.join()
    assert won == len(store.history("u"))
    assert store.verify() == []


def test_a_reader_of_an_old_version_is_not_disturbed_by_a_new_one(store):
    store.publish("u", picture(1200, 0), kind="acquisition")
    opened = store.open("u")
    store.publish("u", picture(1200, 1), kind="acquisition")
    assert opened.load().identical(picture(1200, 0))


@pytest.mark.parametrize("unit", ["", "/etc", "../up", "a/../b", "a//b", "a/", ".hidden", "a/.tmp-1", "a.json", "a.zarr/b",
                                  "a\\b", "a\0b", "b:c", "x" * 121])
def test_a_name_cannot_leave_the_study(store, unit):
    with pytest.raises(StoreError, match="cannot be the name of a unit"):
        store.publish(unit, spectrum(), kind="acquisition")
    with pytest.raises(StoreError, match="cannot be the name of a unit"):
        store.open(unit)


def test_a_unit_may_be_named_like_the_folder_of_another(store):
    store.publish("A17/haadf-0", spectrum(1.0), kind="acquisition")
    store.publish("A17", spectrum(2.0), kind="descriptors")
    assert store.units() == ["A17", "A17/haadf-0"]
    assert float(store.open("A17").intensity[0]) == 2.0
    assert store.verify() == []


def test_errors_name_what_there_is(store):
    version = store.publish("A17/haadf-0", spectrum(), kind="acquisition")
    with pytest.raises(StoreError, match="there is A17/haadf-0"):
        store.open("A18/haadf-0")
    with pytest.raises(StoreError, match=f"found {version.version}"):
        store.open("A17/haadf-0", "v000009-00000000")
    with pytest.raises(StoreError, match="found intensity"):
        store.levels("A17/haadf-0", "counts")
    with pytest.raises(StoreError, match="not one of acquisition"):
        store.publish("u", spectrum(), kind="thing")
    with pytest.raises(StoreError, match="no published data"):
        Store(store.root / "elsewhere")


def test_what_cannot_be_stored_is_refused_by_name(store):
    with pytest.raises(DatasetError, match=r"attrs\['conditions'\]\['when'\]"):
        store.publish("u", spectrum(conditions={"when": object()}), kind="acquisition")
    with pytest.raises(DatasetError, match=r"variable 'label' holds (nan|None)"):
        store.publish("u", spectrum().assign(label=("row", np.array(["a", None], object))), kind="acquisition")
    assert store.current("u") is None
    assert not list(store.root.rglob(".tmp-*"))


def test_an_array_larger_than_the_budget_streams_through(store, tmp_path):
    """256 MiB of a memory-mapped file go through in bands of 32 MiB, with two levels in flight."""
    path = tmp_path / "raw.bin"
    shape = (8192, 16384)
    np.memmap(path, "u2", mode="w+", shape=shape)[::64, ::64] = 7
    data = np.memmap(path, "u2", mode="r", shape=shape)
    ds = xr.Dataset({"intensity": (("y", "x"), data, {"units": "arbitrary"})})
    tracemalloc.start()
    try:
        version = store.publish("u", ds, kind="acquisition", raw=path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 160 << 20
    assert version.attrs["source"]["sha256"] == sha256_of(path)
    assert int(store.open("u").intensity[64, 64]) == 7


def test_a_dask_array_is_computed_block_by_block_and_each_block_once(store):
    computed = []
    held = threading.Lock()

    def block(info):
        with held:
            computed.append(tuple(info["chunk-location"]))
        return np.full(info["chunk-shape"], sum(info["chunk-location"]), "f4")

    data = da.map_blocks(lambda block_info=None: block(block_info[None]), chunks=((700,) * 5, (900,) * 4), dtype="f4",
                         meta=np.empty((0, 0), "f4"))
    computed.clear()
    store.publish("u", xr.Dataset({"intensity": (("y", "x"), data)}), kind="acquisition")
    assert sorted(computed) == [(i, j) for i in range(5) for j in range(4)]
    np.testing.assert_array_equal(store.open("u").intensity, data.compute())


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_giving_memory_back_changes_no_value(tmp_path, mode):
    path = tmp_path / "raw.bin"
    np.arange(1 << 16, dtype="u4").tofile(path)
    values = np.memmap(path, "u4", mode=mode)
    if mode != "r":
        values[5] = 99
    release(values[::2])
    assert values[5] == (5 if mode == "r" else 99)
    assert values.sum(dtype="u8") == (1 << 15) * ((1 << 16) - 1) + (0 if mode == "r" else 94)


@pytest.mark.slow
def test_nothing_published_is_lost_in_a_torture():
    script = Path(__file__).parents[1] / "benchmarks" / "torture.py"
    command = [sys.executable, script, "--kills", "20", "--flips", "20"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "all held" in done.stdout


@pytest.mark.parametrize("shape", [(7,), (100, 30), (5, 33, 40)])
def test_regions_cover_every_element_once(shape):
    seen = np.zeros(shape, int)
    unit = tuple(4 for _ in shape)
    for region in regions(shape, unit, itemsize=8, limit=4096):
        seen[region] += 1
        assert all(s.start % 4 == 0 for s in region)
    assert (seen == 1).all()


def test_sources_of_every_kind_give_the_same_values(tmp_path):
    dense = np.random.default_rng(0).poisson(0.1, (30, 40)).astype(">u2")
    np.save(tmp_path / "a.npy", dense)
    store = Store(tmp_path, create=True)
    store.publish("u", xr.Dataset({"v": (("y", "x"), dense)}), kind="acquisition")
    kinds = [dense, np.load(tmp_path / "a.npy", mmap_mode="r"), da.from_array(dense, chunks=(7, 11)),
             sparse.COO.from_numpy(dense), store.open("u").v.variable]
    for kind in kinds:
        source = Source(kind if isinstance(kind, xr.Variable) else xr.Variable(("y", "x"), kind))
        parts = [(r, source.read(r)) for r in regions((30, 40), (8, 8), 2, 300)]
        for region, values in parts:
            assert values.dtype.isnative
            np.testing.assert_array_equal(values, dense[region])


def test_a_spectrum_image_keeps_the_sum_of_its_spectra(store):
    counts = np.random.default_rng(0).poisson(2, (40, 50, 300)).astype("u2")
    axes = {"y": ("y", np.arange(40.0), {"units": "nm"}), "x": ("x", np.arange(50.0), {"units": "nm"})}
    ds = xr.Dataset({"counts": (("y", "x", "xray_energy"), counts, {"units": "count"})}, axes)
    store.publish("u", ds, kind="acquisition")
    np.testing.assert_array_equal(store.summed("u"), counts.sum(2))
    assert store.summed("u").y.attrs == {"units": "nm"}
    store.publish("v", spectrum(), kind="acquisition")
    assert store.summed("v") is None


def test_the_hash_of_a_raw_file_follows_its_reading(tmp_path):
    path = tmp_path / "raw.bin"
    path.write_bytes(os.urandom(3_000_001))
    follower = RawHash(path)
    for fraction in (0.0, 0.3, 0.3, 0.9):
        follower.advance(fraction)
    assert follower.hexdigest() == sha256_of(path)


def test_a_raw_file_that_changes_while_it_is_read_is_refused(store, tmp_path):
    path = tmp_path / "raw.bin"
    path.write_bytes(b"1" * 1000)

    def overwrite(fraction):
        path.write_bytes(b"2" * 1000)

    with pytest.raises(FileError, match="changed while it was read"):
        store.publish("u", spectrum(), kind="acquisition", raw=path, progress=overwrite)
    assert store.current("u") is None


def test_an_interrupt_leaves_nothing_behind(store):
    store.publish("u", picture(), kind="acquisition")
    before = sorted(store.root.rglob("*"))

    def interrupt(fraction):
        if fraction > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.publish("u", picture(1200, 1), kind="acquisition", progress=interrupt)
    assert sorted(store.root.rglob("*")) == before
    assert store.verify() == []


def test_an_interrupt_between_the_renames_leaves_nothing_behind(store, monkeypatch):
    store.publish("u", spectrum(), kind="acquisition")

    def interrupt(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr("datasets.store.sync_folder", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.publish("u", spectrum(2.0), kind="acquisition")
    monkeypatch.undo()
    assert store.verify() == []
    assert len(store.history("u")) == 1


def test_progress_rises_to_one(store):
    seen = []
    store.publish("u", picture(3000), kind="acquisition", progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    seen.clear()
    store.verify(seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def flip_a_bit(path, where=None):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if where is None else where] ^= 4
    path.write_bytes(content)


def test_verify_names_a_flipped_bit_in_any_file(store):
    store.publish("A17/haadf-0", picture(), kind="acquisition")
    store.publish("A17/haadf-0", picture(1200, 1), kind="acquisition")
    everything = [p for top in ("objects", "refs") for p in sorted((store.root / top).rglob("*")) if p.is_file()]
    assert len(everything) > 20
    for path in everything:
        good = path.read_bytes()
        flip_a_bit(path)
        assert path.relative_to(store.root).as_posix() in [d.path for d in damage(store)], path
        path.write_bytes(good)
    assert damage(store) == []


def test_a_flipped_bit_in_the_data_is_never_read_as_data(store):
    store.publish("u", picture(), kind="acquisition")
    for path in sorted((folder_of(store, "u") / "intensity" / "c").rglob("*")):
        if path.is_file():
            for where in (0, 1000, path.stat().st_size // 2, -1):
                good = path.read_bytes()
                flip_a_bit(path, where)
                with pytest.raises(Exception, match="checksum"):
                    store.open("u").intensity.load()
                path.write_bytes(good)


def test_a_lost_chunk_is_an_error_and_never_zeros(store):
    store.publish("u", picture(), kind="acquisition")
    opened = store.open("u")
    (folder_of(store, "u") / "intensity/c/0/0").unlink()
    for ds in (opened, store.open("u")):
        with pytest.raises(DamagedStore, match="intensity/c/0/0 is lost"):
            ds.intensity.load()
    assert [(d.what, d.unit) for d in damage(store)] == [("lost file", "u")]
    assert store.levels("u")[1].load().shape == (600, 600)


def test_verify_names_every_other_damage(store):
    for unit in ("m", "r", "v", "a", "c", "f"):
        store.publish(unit, spectrum(), kind="acquisition")
    names = {u: store.current(u).version for u in store.units()}
    objects = store.root / "objects"
    (objects / "m" / f"{names['m']}.json").unlink()
    (store.root / "refs/r.json").unlink()
    (objects / "v" / f"{names['v']}.zarr").rename(store.root / "elsewhere")
    (store.root / "refs/a.json").write_text("{}")
    (objects / "c" / f"{names['c']}.zarr" / "stranger").write_text("hello")
    (objects / "f" / "notes.txt").write_text("hello")
    found = {(d.unit, d.what) for d in damage(store)}
    assert {("m", "lost manifest"), ("r", "lost reference"), ("v", "lost version"), ("a", "altered reference"),
            ("c", "foreign file"), ("f", "foreign file")} <= found
    for unit in "mva":
        with pytest.raises(DamagedStore):
            store.open(unit)
    assert all(d.message.startswith(d.path) for d in store.verify())


def test_a_truncated_chunk_is_named_and_not_read(store):
    store.publish("u", picture(), kind="acquisition")
    path = folder_of(store, "u") / "intensity/c/0/0"
    os.truncate(path, path.stat().st_size // 2)
    assert [d.what for d in damage(store)] == ["altered file"]
    with pytest.raises(Exception, match=r"checksum|buffer|size"):
        store.open("u").intensity.load()


def test_what_a_dead_writer_left_is_a_note_and_gc_removes_it(store):
    store.publish("u", spectrum(), kind="acquisition")
    left = store.root / "objects/u/.tmp-dead.zarr"
    left.mkdir()
    (left / "zarr.json").write_text("{}")
    left.with_suffix(".json").write_text("{}")
    (store.root / "refs/.tmp-dead").write_text("{}")
    (store.root / "objects/u/v000002-00000000.zarr").mkdir()
    notes = store.verify()
    assert {d.what for d in notes} == {"unfinished", "unpublished"}
    assert all(d.is_note for d in notes)
    assert len(store.gc(dry_run=True).unfinished) == 3
    assert len(store.verify()) == len(notes)
    removed = store.gc()
    assert removed.versions == (("u", "v000002-00000000"),)
    assert store.verify() == []
    assert len(store.history("u")) == 1


def test_gc_spares_a_living_writer(store):
    store.publish("u", picture(), kind="acquisition")

    def collect(fraction):
        if fraction == 1.0:
            return
        assert store.gc().unfinished == ()
        assert [d.what for d in store.verify()] == ["unfinished"]

    store.publish("u", picture(1200, 1), kind="acquisition", progress=collect)
    assert store.verify() == []


def test_gc_keeps_what_is_current_and_what_it_was_made_from(store):
    versions = [store.publish("u", spectrum(v), kind="acquisition").version for v in (1.0, 2.0, 3.0, 4.0)]
    store.publish("d", spectrum(), kind="descriptors", parents={"u": versions[1]})
    opened = store.open("u", versions[0])
    assert set(store.gc().versions) == {("u", versions[0]), ("u", versions[2])}
    assert [v.version for v in store.history("u")] == [versions[1], versions[3]]
    assert store.verify() == []
    assert len(store.catalogue()) == 2
    with pytest.raises(DamagedStore, match="is lost"):
        opened.intensity.load()
    assert store.publish("u", spectrum(5.0), kind="acquisition").version.startswith("v000005")


def test_gc_never_removes_a_unit_whose_reference_is_lost(store):
    store.publish("u", spectrum(), kind="acquisition")
    (store.root / "refs/u.json").unlink()
    assert store.gc().versions == ()
    assert next(d.what for d in damage(store)) == "lost reference"


def test_a_manifest_says_what_each_file_must_be(store):
    version = store.publish("u", picture(), kind="acquisition")
    manifest = json.loads((store.root / "objects/u" / f"{version.version}.json").read_text())
    folder = folder_of(store, "u")
    files = {p.relative_to(folder).as_posix(): [sha256_of(p), p.stat().st_size] for p in folder.rglob("*") if p.is_file()}
    assert manifest["files"] == files
    assert manifest["chunks"]["intensity"] == 1
    assert manifest["writer"]["program"].startswith("correlate-sei")


def test_opening_one_acquisition_does_not_need_the_others(store):
    store.publish("A17/haadf-0", picture(), kind="acquisition")
    store.publish("A18/haadf-0", picture(), kind="acquisition")
    shutil.rmtree(store.root / "objects/A18")
    (store.root / "refs/A18/haadf-0.json").write_text("garbage")
    (store.root / "catalogue.sqlite").write_text("garbage")
    assert store.open("A17/haadf-0").load().identical(picture())
