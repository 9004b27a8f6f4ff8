"""Every technique the platform knows, one line each."""

from datasets.technique import Technique
from datasets.techniques.afm import AFM
from datasets.techniques.afm_channel import AFM_CHANNEL
from datasets.techniques.afm_force import AFM_FORCE
from datasets.techniques.apt import APT
from datasets.techniques.apt_hits import APT_HITS
from datasets.techniques.apt_ranges import APT_RANGES
from datasets.techniques.cv import CV
from datasets.techniques.cycling import CYCLING
from datasets.techniques.ebsd import EBSD, EBSD_PATTERNS, EBSD_POINTS
from datasets.techniques.edx import EDX
from datasets.techniques.eels import EELS
from datasets.techniques.eis import EIS
from datasets.techniques.element_map import ELEMENT_MAP
from datasets.techniques.fib_sem import FIB_SEM
from datasets.techniques.ftir import FTIR
from datasets.techniques.interferogram import INTERFEROGRAM
from datasets.techniques.nano_ftir import NANO_FTIR
from datasets.techniques.optir import OPTIR
from datasets.techniques.raman import RAMAN
from datasets.techniques.saed import SAED
from datasets.techniques.sem_image import SEM_IMAGE
from datasets.techniques.stem_4d import STEM_4D
from datasets.techniques.stem_image import STEM_IMAGE
from datasets.techniques.tem_image import TEM_IMAGE
from datasets.techniques.tilt_series import TILT_SERIES
from datasets.techniques.tof_sims import TOF_SIMS
from datasets.techniques.tomogram import TOMOGRAM
from datasets.techniques.txm import TXM
from datasets.techniques.unknown import UNKNOWN
from datasets.techniques.xas import XAS
from datasets.techniques.xps import XPS
from datasets.techniques.xps_quantification import XPS_QUANTIFICATION

TECHNIQUES: dict[str, Technique] = {t.name: t for t in (
    TEM_IMAGE,
    STEM_IMAGE,
    SEM_IMAGE,
    EELS,
    EDX,
    ELEMENT_MAP,
    SAED,
    STEM_4D,
    TILT_SERIES,
    TOMOGRAM,
    FIB_SEM,
    EBSD,
    EBSD_POINTS,
    EBSD_PATTERNS,
    XPS,
    XPS_QUANTIFICATION,
    CYCLING,
    CV,
    EIS,
    FTIR,
    INTERFEROGRAM,
    AFM,
    AFM_CHANNEL,
    AFM_FORCE,
    APT,
    APT_RANGES,
    APT_HITS,
    OPTIR,
    NANO_FTIR,
    RAMAN,
    TOF_SIMS,
    TXM,
    XAS,
    UNKNOWN,
)}
