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
