"""The virtual study: samples of several electrolytes, each measured by some techniques, with truth beside the files.

Layout: `study.toml`, `raw/<sample>/<files>`, `truth/{study,samples,acquisitions,frames,metadata_faults}.json`, and
`truth/parts/<sample>.json`, from which the others are put together. A sample appears whole or not at all: its files are
written in a folder of another name, which is renamed at the end, so a run that was stopped goes on where it was.
"""

import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from datasets.errors import StudyError
from datasets.phantom.electrolytes import electrolyte_of, protocol_of
from datasets.phantom.record_cells import record_cycling, record_impedance, record_xps
from datasets.phantom.record_electrons import record_edx, record_eels, record_haadf, record_hrtem, record_saed
from datasets.phantom.record_spots import record_afm, record_apt, record_ftir, record_sims, record_txm
from datasets.phantom.recording import Recorder, Recording
from datasets.phantom.specimen import make_specimen
from datasets.phantom.state import State, latent_state
from datasets.phantom.streams import stream
from datasets.sheet import FILE_NAME, File, Sample, Sheet, write_sheet

RECORDERS: tuple[Recorder, ...] = (
    Recorder("haadf", 0.95, record_haadf),
    Recorder("edx", 0.85, record_edx),
    Recorder("eels", 0.75, record_eels),
    Recorder("hrtem", 0.5, record_hrtem),
    Recorder("saed", 0.3, record_saed),
    Recorder("xps", 0.85, record_xps),
    Recorder("eis", 0.8, record_impedance),
    Recorder("cycling", 0.97, record_cycling),
    Recorder("ftir", 0.4, record_ftir),
    Recorder("afm", 0.4, record_afm),
    Recorder("tofsims", 0.25, record_sims),
    Recorder("txm", 0.25, record_txm),
    Recorder("apt", 0.15, record_apt),
)
"""What a study is measured by: one line per technique. The order sets nothing but the order of the files."""
HEADING = "Virtual study: every number in it is synthetic and says nothing about real materials."
Progress = Callable[[int, int, str], None]


def make_study(root: str | Path, *, samples: int = 24, seed: int = 1, jobs: int = 2, progress: Progress | None = None) -> Path:
    """Make a virtual study, or complete one that was begun; returns its folder.

    Parameters
    ----------
    root : folder, made if need be
    samples : at least 1; up to 32 share eight electrolytes, more take twelve
    seed : of everything; the same seed gives the same truth to the last bit
    jobs : processes, each on one thread; 1 works in this process
    progress : called with (samples done, samples, what was done last)

    Raises
    ------
    StudyError
        If the folder holds something else.
    """
    root = Path(root)
    names = [sample_name(number) for number in range(samples)]
    _begin(root, samples, seed)
    missing = [number for number, name in enumerate(names) if not _is_made(root, name)]
    tell = progress or _silent
    done = samples - len(missing)
    tell(done, samples, "already made" if done else "begun")
    for number in _made(root, missing, samples, seed, jobs):
        done += 1
        tell(done, samples, names[number])
    if missing or not (root / FILE_NAME).exists():
        _conclude(root, names, seed)
    return root


def sample_name(number: int) -> str:
    """S01, S02, ..."""
    return f"S{number + 1:02d}"


def state_of(number: int, samples: int, seed: int) -> State:
    """The latent state of sample `number` of a study."""
    name = sample_name(number)
    electrolyte = electrolyte_of(number, samples, seed)
    return latent_state(name, electrolyte, protocol_of(name, electrolyte, seed), seed)


def make_sample(root: Path, number: int, samples: int, seed: int) -> int:
    """Write one sample's files and its part of the truth; returns its number."""
    name = sample_name(number)
    with threadpool_limits(1):
        specimen = make_specimen(state_of(number, samples, seed))
        folder = root / "raw" / f".{name}.part"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        recordings = [recording for recorder in RECORDERS if has_technique(name, recorder, seed)
                      for recording in recorder.record(specimen, folder)]
        part = {"sample": name, "truth": specimen.truth(), "recordings": [_entry(recording) for recording in recordings]}
    _write_json(root / "truth" / "parts" / f"{name}.json", part)
    shutil.rmtree(root / "raw" / name, ignore_errors=True)
    folder.rename(root / "raw" / name)
    return number


def has_technique(sample: str, recorder: Recorder, seed: int) -> bool:
    """Whether this sample was measured by this technique."""
    return bool(stream(seed, sample, recorder.technique, "present").random() < recorder.share)


def _silent(done: int, total: int, label: str) -> None:
    del done, total, label


def _begin(root: Path, samples: int, seed: int) -> None:
    recipe, path = {"generator": 1, "seed": seed, "samples": samples, "synthetic": True}, root / "truth" / "study.json"
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != recipe:
            raise StudyError(f"{root}: holds a virtual study of {found.get('samples')} samples, seed {found.get('seed')}; "
                             f"choose another folder for {samples} samples, seed {seed}")
        return
    if root.exists() and any(root.iterdir()):
        raise StudyError(f"{root}: is not empty and holds no virtual study; choose another folder")
    _write_json(path, recipe)


def _is_made(root: Path, name: str) -> bool:
    return (root / "raw" / name).is_dir() and (root / "truth" / "parts" / f"{name}.json").exists()


def _made(root: Path, numbers: list[int], samples: int, seed: int, jobs: int) -> Iterable[int]:
    """Numbers of the samples as they are finished."""
    if jobs <= 1 or len(numbers) <= 1:
        for number in numbers:
            yield make_sample(root, number, samples, seed)
        return
    # a child that is forked inherits locks of other threads; a spawned one does not
    pool = ProcessPoolExecutor(min(jobs, len(numbers)), mp_context=get_context("spawn"))
    try:
        waiting: set[Future[int]] = {pool.submit(make_sample, root, number, samples, seed) for number in numbers}
        while waiting:
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _conclude(root: Path, names: list[str], seed: int) -> None:
    """Put the parts together: truth by sample, by acquisition and by frame, and the study sheet."""
    parts = {name: json.loads((root / "truth" / "parts" / f"{name}.json").read_text(encoding="utf-8")) for name in names}
    acquisitions: dict[str, Any] = {}
    frames: dict[str, Any] = {}
    faults: list[dict[str, Any]] = []
    files: list[File] = []
    for name, part in parts.items():
        for entry in part["recordings"]:
            unit = f"{name}/{Path(entry['name']).stem}-{entry['signal']}"
            path = f"raw/{name}/{entry['name']}"
            acquisitions[unit] = {"technique": entry["technique"], "file": path, **entry["truth"],
                                  "nuisance": entry["nuisance"]}
            if entry["frame"] is not None:
                frames[unit] = entry["frame"]
            faults += [{"file": path, "acquisition": unit, **fault} for fault in entry["faults"]]
            sheet = entry["sheet"]
            axes = {dim: (float(step), str(unit_)) for dim, (step, unit_) in sheet.get("axes", {}).items()}
            files.append(File(path, name, sheet.get("technique", ""), axes, sheet.get("conditions", {})))
    _write_json(root / "truth" / "samples.json", {name: part["truth"] for name, part in parts.items()})
    _write_json(root / "truth" / "acquisitions.json", acquisitions)
    _write_json(root / "truth" / "frames.json", frames)
    _write_json(root / "truth" / "metadata_faults.json", faults)
    samples = {name: _sheet_sample(name, part["truth"]) for name, part in parts.items()}
    sheet = Sheet(f"Virtual study, seed {seed}", samples, tuple(files), synthetic=True)
    waiting = root / f".{FILE_NAME}.part"
    write_sheet(sheet, waiting, heading=HEADING)
    waiting.replace(root / FILE_NAME)


def _sheet_sample(name: str, truth: Mapping[str, Any]) -> Sample:
    protocol = truth["protocol"]
    conditions = {"cycle": protocol["cycles"], "cell_temperature_K": protocol["temperature_K"],
                  "current_density_mA_cm2": protocol["current_density"],
                  "areal_capacity_mAh_cm2": protocol["areal_capacity"], "washed": "no"}
    return Sample(name, metal=truth["metal"], electrolyte=truth["electrolyte_text"], group=truth["group"],
                  notes="synthetic: virtual specimen", conditions=conditions)


def _entry(recording: Recording) -> dict[str, Any]:
    keys = ("name", "technique", "signal", "sheet", "truth", "nuisance", "frame", "faults")
    return {key: getattr(recording, key) for key in keys}


def _write_json(path: Path, value: Any) -> None:
    """Whole or not at all; floats in full, NaN as null, keys in the order they came."""
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_name(f".{path.name}.{os.getpid()}.part")
    waiting.write_text(json.dumps(_plain(value), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    waiting.replace(path)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.item() if hasattr(value, "item") else value
