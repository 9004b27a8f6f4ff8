"""Every technique the platform knows, one line each."""

from datasets.technique import Technique
from datasets.techniques.unknown import UNKNOWN

TECHNIQUES: dict[str, Technique] = {t.name: t for t in (
    UNKNOWN,
)}
