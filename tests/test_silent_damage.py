"""Damage that is small and leaves a file readable: whatever it takes away or moves, the reader says so."""

import struct

import pytest

from datasets.acquisition import read_acquisitions
from datasets.formats import FORMATS


def made(name, folder):
    return next(fmt for fmt in FORMATS if fmt.name == name).example(folder)


def said_of(path):
    return " | ".join(w for ds in read_acquisitions(path) for w in ds.attrs["warnings"])


def last_rows_to(line):
    """The last three rows of a text before one of its lines."""
    def damaged(raw):
        lines = raw.splitlines(keepends=True)
        return b"".join([*lines[:line], *lines[-3:], *lines[line:-3]])
    return damaged


def replaced(old, new):
    def damaged(raw):
        head, found, rest = raw.rpartition(old)
        assert found
        return head + new + rest
    return damaged


def cut(rows):
    return lambda raw: b"".join(raw.splitlines(keepends=True)[:-rows])


DAMAGES = {
    "one energy of one scan is another": ("specs xy", replaced(b"\n675  ", b"\n2147483647  "), "given apart"),
    "a picture is said to have fewer rows": (
        "agilent mi", replaced(b"yPixels       16", b"yPixels       14"), "96 bytes behind"),
    "a surface is said to have fewer points": (
        "metropro", lambda raw: raw[:68] + struct.pack(">h", 16) + raw[70:], "512 bytes behind"),
    "a scan is said to have fewer lines": ("nanoscope", replaced(b"Number of lines: 16", b"Number of lines: 15"), "hold more"),
    "a comma of the column names is lost": ("landt text", replaced(b"Record,Cycle-Index", b"RecordXCycle-Index"),
                                            "more cells than the 8 names"),
    "a comma of a row is lost": (
        "arbin text", replaced(b"0.001,0.1", b"0.001.0.1"), "more or fewer cells than most, the first in line 13"),
    "rows stand above the column names": ("pec text", last_rows_to(0), "rows of numbers stand above the column names"),
    "points stand above their names": ("impedance text", last_rows_to(1), "rows of numbers stand above the column names"),
    "the first word is another": ("gamry dta", replaced(b"EXPLAIN", b"EXPLAIM"), "usually gamry dta"),
    "the end is missing": ("neaspec", cut(41), "declares 82 points and holds 41"),
    "an ion has lost its name": ("tof-sims text", replaced(b"\tF-\t", b"\t\t"), "no ion above"),
    "a colour is cut": ("rrng", lambda raw: raw.rstrip()[:-2], "no colour"),
    "a column's name is one letter off": (
        "maccor text", replaced(b"StepTime", b"StepTmme"), "'StepTmme' is not known, and 'steptime' is missing"),
    "a column's name is in another case": ("gamry dta", replaced(b"\tPt\t", b"\tpt\t"), "'Pt' is missing"),
    "a column that the program does not write": ("bwtek text", replaced(b";Dark;", b";Daro;"), "columns Daro are not known"),
    "a character is none of a text": ("xdi", replaced(b"# a step", b"# a\x11step"), "no text holds, the first in line 10"),
    "the end of a line is half another's": ("xdi", replaced(b"\n 8345", b"\r 8345"), "parted otherwise"),
    "a row has become a comment": ("xdi", replaced(b"\n 8345", b"\n#8345"), "1 lines of comment stand among the rows"),
    "rows between two quotation marks": (
        "neware text", lambda raw: raw.replace(b"2026-01-23 12:00:09", b'"026-01-23 12:00:09')
        .replace(b"12:00:21", b'12:00:2"'), "lines are taken for parts of cells in quotes"),
    "cells that were numbers": ("basytec text", replaced(b"\t0.1\t", b"\t0.x\t"), "cells that are no numbers"),
    "an image is said to have fewer lines": ("nanonis sxm", replaced(b" 24 16", b" 24 15"), "192 bytes behind"),
    "the orientations have lost their name": ("emsoft", replaced(b"EulerAngles", b"EulerAnglew"), "orientations are not known"),
    "a segment has another number": (
        "jpk force", lambda raw: raw.replace(b"segments/1/", b"segments/7/"), "segments are not numbered"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_damage_takes_away_or_moves_is_said(damage, tmp_path):
    name, damaged, words = DAMAGES[damage]
    path = made(name, tmp_path)
    assert words not in said_of(path)
    path.write_bytes(damaged(path.read_bytes()))
    assert words in said_of(path)


def test_a_damaged_row_above_the_points_of_a_spectrum_is_said(tmp_path):
    """ZPlot's first row lost all but three of its cells."""
    path = made("impedance text", tmp_path)
    lines = path.read_text().splitlines()
    first = lines.index("End Comments") + 1
    lines[first] = ",".join(lines[first].split(",")[:3])
    path.write_text("\n".join(lines) + "\n")
    assert "1 lines between the names and the points" in said_of(path)


def test_a_range_of_an_element_that_the_environment_does_not_list_is_said(tmp_path):
    path = made("env", tmp_path)
    assert "the list of elements lacks" not in said_of(path)
    lines = path.read_text().splitlines()
    last = max(i for i, line in enumerate(lines) if len(line.split()) == 5 and not line.startswith("#"))
    lines[last] = "Mo " + " ".join(lines[last].split()[1:])
    path.write_text("\n".join(lines) + "\n")
    assert "ranges of Mo" in said_of(path)
