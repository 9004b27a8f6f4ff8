"""The study sheet says back what a person wrote, and names every fault of it at once."""

import re
from pathlib import Path

import pytest

from datasets.errors import StudyError
from datasets.sheet import File, Pair, Sample, Sheet, read_sheet, sheet_text, write_sheet
from datasets.terms import CONDITION_MEANING

DOCS = Path(__file__).parents[1] / "docs" / "study-sheet.md"
SHEET = Sheet("SEI: \"two\" electrolytes", {
    "A.17": Sample("A.17", metal="Li", electrolyte="1 M LiPF6", group="LP40", notes="one\ntwo", conditions={"cycle": 10}),
    "B02": Sample("B02")},
    (File("raw/ä b.mrc", "B02", "stem_image", {"x": (0.5, "nm")}, {"elements": ["Li", "C"], "cycle": 2}, (1,), "day_2"),),
    (Pair("B02/day_2-0", "B02/map-0", "affine"),), synthetic=True)


def written(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_sheet_is_read_back_unchanged_remarks_or_not(tmp_path):
    assert read_sheet(write_sheet(SHEET, tmp_path / "study.toml", heading="by hand\nand eye")) == SHEET
    remarks = {"B02": ['metal = ""'], "raw/ä b.mrc": ["odd\n[study] \x07"]}
    assert read_sheet(written(tmp_path, sheet_text(SHEET, remarks=remarks))) == SHEET


@pytest.mark.parametrize(("text", "fault"), [
    ("samples = 3", "samples must be dict"), ("files = 3", "files must be list"),
    ("[samples]\nA = 1", r"\[samples.A\] must be a table"),
    ('[samples.A]\n[[files]]\npath = "x"\nsample = "B"', "sample 'B' is not among"),
    ('[samples.A]\n[[files]]\npath = "x"\nsample = "A"\naxes = 3', "axes must be dict"),
    ('[samples.A]\n[[files]]\npath = "x"\nsample = "A"\ntechnique = "stem"', "technique 'stem' is not one of"),
    ('[samples.A]\n[[files]]\npath = "x"\nsample = "A"\nname = "a/b"', "name has letters"),
    ('[samples.A]\nconditions = { dose = 3 }', "unknown condition 'dose'"),
    ('[samples.A]\n[[files]]\npath = "d/x.mrc"\nsample = "A"\n\n[[files]]\npath = "e/x.mrc"\nsample = "A"',
     "give one of them a name"),
])
def test_a_fault_of_the_sheet_is_one_clear_error(tmp_path, text, fault):
    with pytest.raises(StudyError, match=fault):
        read_sheet(written(tmp_path, text))


def test_the_document_lists_every_condition_with_its_meaning_and_no_other():
    table = DOCS.read_text(encoding="utf-8").partition("## Conditions")[2].partition("##")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.M)) == CONDITION_MEANING


def test_the_example_of_the_document_is_a_valid_sheet(tmp_path):
    example = re.search(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)[1]
    assert read_sheet(written(tmp_path, example)).files[0].acquisition == "A17/haadf_day2"
