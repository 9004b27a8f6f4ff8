"""Every technique the platform knows, one line each."""

from datasets.technique import Technique
from datasets.techniques.cycling import CYCLING
from datasets.techniques.eis import EIS
from datasets.techniques.unknown import UNKNOWN
from datasets.techniques.xps import XPS

TECHNIQUES: dict[str, Technique] = {t.name: t for t in (
    XPS,
    CYCLING,
    EIS,
    UNKNOWN,
)}
