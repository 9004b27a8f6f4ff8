"""The whole path on real instrument files: a folder as people leave it, drafted, imported, aligned, described, reported.

    python benchmarks/real_study.py [--data ../shared/data] [--folder DIR] [--jobs 2]

The files are copied from the folder of real files, which belongs to other people; one sample of the study is one origin of the
files, and nobody has ever measured any of these specimens with all techniques. What a person has to say after the draft, and
the draft asks for, is in `SAID`. Prints what each stage made, and how long it took.
"""

import argparse
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from correlate.describe import describe_study  # noqa: E402
from correlate.draft import draft_study, write_draft  # noqa: E402
from correlate.fit import fit_study  # noqa: E402
from correlate.ingest import import_files  # noqa: E402
from correlate.place import align_study  # noqa: E402
from correlate.report import write_report  # noqa: E402
from correlate.study import Study  # noqa: E402
from datasets.sheet import FILE_NAME, File, read_sheet, write_sheet  # noqa: E402

FILES = {
    "raw/L2083/STEM/tilt_000.bcf": "em/ncem_edx_tilt_000.bcf",
    "raw/L2083/STEM/tilt_m30.bcf": "em/ncem_edx_tilt_m30.bcf",
    "raw/P225/STEM/particle_200kV.bcf": "em/bcf_tem_edx.bcf",
    "raw/V215/STEM/SI 215 kx.emd": "em/velox11_Test_SI_16x16_215_kx.emd",
    "raw/V215/STEM/export/haadf.tif": "em/tif_saved_by_dm.tif",
    "raw/C08/EELS/carbon_K.dm3": "em/ncem_carbon_eels.dm3",
    "raw/G2/EELS/si_2x2.dm4": "em/dm4_eels_si.dm4",
    "raw/G2/EELS/lowloss.dm3": "em/dm3_eels_spectrum.dm3",
    "raw/G2/TEM/stem.dm3": "em/dm3_stem_image.dm3",
    "raw/N18/TEM/lattice.emd": "em/ncem_acquisition18.emd",
    "raw/N18/TEM/search.emi": "em/tia_tem_search.emi",
    "raw/N18/TEM/search_1.ser": "em/tia_tem_search_1.ser",
    "raw/NiW150/XPS/after anneal.vms": "spectra/xps_kratos_NiW.vms",
    "raw/Fe26/XPS/Fe2p.vms": "spectra/xps_casaxps_analyzed_FeO.vms",
    "raw/Mo42/XPS/multipak.npl": "spectra/xps_phi_multipak.npl",
    "raw/R1/XPS/survey.vms": "spectra/xps_vamas_regular.vms",
    "raw/cell 1/EC/gcpl.mpr": "echem/yadg_gcpl.mpr",
    "raw/cell 1/EC/gcpl_copy.mpr": "echem/yadg_gcpl.mpr",
    "raw/cell 1/EC/peis.mpr": "echem/yadg_peis.mpr",
    "raw/cell 1/EC/peis.mpt": "echem/yadg_peis.mpt",
    "raw/cell 2/EC/bcd.mpr": "echem/yadg_bcd.issue_241.mpr",
    "raw/cell 3/EC/test_2.ndax": "echem/fastnda_test_2.ndax",
    "raw/cell 4/EC/120 cycles.ndax": "echem/fastnda_nw4-120-1-6-53.ndax",
    "raw/cell 5/EC/test.ndax": "echem/navani_test.ndax",
    "raw/cell 6/EC/biol.mpr": "echem/cellpy_biol.mpr",
    "raw/cell 7/EIS/gamry.DTA": "echem/impedancepy_exampleDataGamry.DTA",
    "raw/cell 7/EIS/peis.mpr": "echem/bdf_PEIS-0.mpr",
    "raw/L2083/notes.tsv": "em/MANIFEST.tsv",
}
"""Where a file lies in the study -> where it comes from."""
RUBBISH = ("raw/.DS_Store", "raw/L2083/Thumbs.db", "raw/cell 1/~$protocol.docx")
SAID: dict[str, dict[str, Any]] = {
    "raw/cell 1/EC/gcpl.mpr": {"conditions": {"plating_electrode": "positive"}},
    "raw/cell 2/EC/bcd.mpr": {"conditions": {"plating_electrode": "negative"}},
    "raw/cell 3/EC/test_2.ndax": {"conditions": {"plating_electrode": "positive"}},
    "raw/cell 4/EC/120 cycles.ndax": {"conditions": {"plating_electrode": "positive"}},
}
"""What the draft asks for and a person adds. The direction of plating is chosen so that the efficiency is the ratio that the
other program gives (discharge over charge): nobody told us of any metal that these cells plate."""
STAGES = ("draft", "import", "align", "describe", "fit", "report")
T = TypeVar("T")


def make_folder(data: Path, folder: Path, *, leave_out: Collection[str] = ()) -> Path:
    """Copy the real files as people leave them, with the usual rubbish beside; returns the folder."""
    for place, origin in FILES.items():
        if place in leave_out:
            continue
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data / origin, target)
    for place in RUBBISH:
        (folder / place).write_bytes(b"rubbish")
    return folder


def say(folder: Path) -> None:
    """Add to the drafted sheet what a person knows."""
    path = folder / FILE_NAME
    sheet = read_sheet(path)
    files = [replace(f, conditions={**f.conditions, **SAID.get(f.path, {}).get("conditions", {})}) for f in sheet.files]
    write_sheet(replace(sheet, files=tuple[File, ...](files)), path)


def run(folder: Path, jobs: int, timed: Callable[[str, Callable[[], T]], T]) -> dict[str, Any]:
    """Every stage on a folder that holds raw files only: stage -> what it returned, and the study."""
    made: dict[str, Any] = {"draft": timed("draft", lambda: draft_study(folder, jobs=jobs))}
    write_draft(made["draft"], folder)
    say(folder)
    made["study"] = study = Study(folder)
    made["import"] = timed("import", lambda: import_files(study, jobs=jobs))
    made["align"] = timed("align", lambda: align_study(study, jobs=jobs))
    made["describe"] = timed("describe", lambda: describe_study(study, jobs=jobs))
    made["fit"] = timed("fit", lambda: fit_study(study))
    made["report"] = timed("report", lambda: write_report(study))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of real files")
    parser.add_argument("--folder", type=Path, help="where to make the study; a temporary folder otherwise, removed at the end")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = make_folder(args.data, args.folder or Path(temporary) / "real")
        seconds: dict[str, float] = {}

        def timed(stage: str, work: Callable[[], T]) -> T:
            started = time.perf_counter()
            result = work()
            seconds[stage] = time.perf_counter() - started
            return result

        made = run(folder, args.jobs, timed)
        print_figures(made)
        print("\nseconds: " + ", ".join(f"{stage} {seconds[stage]:.1f}" for stage in STAGES))
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
        print(f"peak memory of one process: {peak:.0f} MiB")


def print_figures(made: dict[str, Any]) -> None:
    draft = made["draft"]
    print(f"draft: {len(draft.sheet.samples)} samples, {len(draft.sheet.files)} files, {len(draft.companions)} with companions")
    for item in (*draft.left_out, *draft.passed):
        print(f"  {item.path}: {item.why}")
    print(f"\nimport: {sum(len(r.units) for r in made['import'])} acquisitions of {len(made['import'])} files, "
          f"{sum(r.nbytes for r in made['import']) / 1e6:.1f} MB")
    for r in made["import"]:
        print(f"  {r.path}: {r.status} {len(r.units)} {r.message}" + "".join(f"\n    {w}" for w in r.warnings))
    print("\nalign")
    for p in made["align"]:
        print(f"  {p.pair.moving} to {p.pair.fixed}: {p.verdict}, {p.error_nm:.3g} nm, {'; '.join(p.reasons)}")
    print("\ndescribe")
    for row in made["study"].measurements().itertuples():
        value = f"{row.value:.6g} ± {row.std:.2g} {row.units}" if row.value == row.value else "unknown"
        print(f"  {row.unit} {row.name}: {value}  {row.reason}")
    print(f"\nfit: {made['fit'].get('refused', made['fit'])}")


if __name__ == "__main__":
    main()
