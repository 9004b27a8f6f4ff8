"""Which electron-microscopy format a file has, told from its bytes: a suffix is a habit, not a fact.

RosettaSciIO chooses by suffix and is silently wrong: a CCP4 `.map` goes to its JEOL reader and gives nothing, an EBSD `.h5`
goes to USID and gives nothing. Each function here takes the first 4 KiB and the path and says yes or no; none raises.
"""

import bz2
import struct
from pathlib import Path

import h5py

from datasets.formats.electrons.dectris import is_master
from datasets.formats.electrons.mrc_header import is_packed, promised_size
from datasets.formats.hdf5_layout import told_by_groups
from datasets.formats.nexus_application import is_probe, is_xray
from datasets.formats.tiff_tags import is_jpk, is_park
from datasets.formats.xrays.cxi import is_cxi
from datasets.formats.zip_members import zip_members

TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PRZ_PARTS = {"data.npy"}


def is_dm(head: bytes, path: Path) -> bool:
    """DigitalMicrograph 3 or 4: version, length of the tag tree, endianness of the data, and a root of a few tags."""
    del path
    if len(head) < 32:
        return False
    version, = struct.unpack(">i", head[:4])
    if version not in (3, 4):
        return False
    endian, is_sorted, is_open, tags = struct.unpack_from(">i2BI" if version == 3 else ">i2BQ", head, 8 if version == 3 else 12)
    return endian in (0, 1) and is_sorted < 2 and is_open < 2 and 0 < tags < 10_000


def is_mrc(head: bytes, path: Path) -> bool:
    """MRC or CCP4 map: `MAP ` at byte 208, or a plausible header of older files whose sizes add up to the file's."""
    if len(head) < 1024 or is_packed(head, path):
        return False
    size, endian = promised_size(head)
    if head[208:211] == b"MAP":
        return size > 0 or endian == ""
    try:
        return 0 < size == path.stat().st_size
    except OSError:
        return False


def is_tiff(head: bytes, path: Path) -> bool:
    """TIFF or BigTIFF of either endianness; not the scans of microscopes that only use its tags."""
    return head[:4] in TIFF_MAGICS and not is_jpk(path) and not is_park(path)


def is_bcf(head: bytes, path: Path) -> bool:
    """Bruker composite file: an SFS container."""
    del path
    return head[:8] == b"AAMVHFSS"


def is_blockfile(head: bytes, path: Path) -> bool:
    """ASTAR blockfile of precession diffraction patterns."""
    del path
    return head[:6] == b"IMGBLO"


def is_emi(head: bytes, path: Path) -> bool:
    """TIA header file; the data are in the `.ser` files beside it."""
    del path
    return head[:4] == b"JK\x00\x02"


def is_ser(head: bytes, path: Path) -> bool:
    """TIA data file: little-endian mark and series number 0x0197."""
    del path
    return head[:4] == b"II\x97\x01"


def is_mib(head: bytes, path: Path) -> bool:
    """Quantum Detectors Merlin frames."""
    del path
    return head[:4] == b"MQ1,"


def is_tvips(head: bytes, path: Path) -> bool:
    """TVIPS recorder: header of 256 bytes, version 1 or 2, frames of a camera's size and depth."""
    del path
    if len(head) < 256:
        return False
    size, version, width, height, bits = struct.unpack("<5I", head[:20])
    return size == 256 and version in (1, 2) and 0 < width < 1 << 16 and 0 < height < 1 << 16 and bits in (8, 16, 32)


def is_msa(head: bytes, path: Path) -> bool:
    """EMSA/MAS text spectrum (ISO 22029)."""
    del path
    return head.lstrip()[:7].upper() == b"#FORMAT" and b"EMSA" in head[:200].upper()


def is_ripple(head: bytes, path: Path) -> bool:
    """Ripple header: tab-separated keys that describe a raw block beside it."""
    del path
    if b"\0" in head:
        return False
    keys = {line.split(b"\t")[0].strip().lower() for line in head.splitlines() if b"\t" in line}
    inca = head[:400].lower().count(b"(mlx::") > 2
    return inca or {b"width", b"height", b"depth", b"data-type", b"record-by"} <= keys


def is_jeol(head: bytes, path: Path) -> bool:
    """JEOL analysis station image (.img, .map), spectrum (.eds) or cube (.pts).

    A spectrum begins with two small numbers only, so there the suffix must agree.
    """
    if head[:4] == b"\x34\0\0\0" and b"JED-2" in head[4:36]:
        return True
    if head[:4] == b"\x30\x01\0\0" and path.suffix.lower() == ".pts":
        return True
    return head[:8] == b"\x02\0\0\0\x02\0\0\0" and path.suffix.lower() == ".eds"


def is_elid(head: bytes, path: Path) -> bool:
    """Phenom Element Identification project: bzip2 around blocks that begin with `EID2`.

    A truncated block does not decompress at all; then the suffix speaks, so that the fault can be named.
    """
    if head[:3] != b"BZh" or head[4:10] != b"1AY&SY":
        return False
    try:
        decompressor = bz2.BZ2Decompressor()
        with path.open("rb") as file:
            first = decompressor.decompress(file.read(1 << 20), 4)
        return first == b"EID2" or (first == b"" and path.suffix.lower() == ".elid")
    except (OSError, EOFError, ValueError):
        return path.suffix.lower() == ".elid"


def is_prz(head: bytes, path: Path) -> bool:
    """CEOS Panta Rhei: a zip of numpy arrays, one of them `data`, with metadata beside it."""
    names = set(zip_members(head, path) or ())
    return names >= PRZ_PARTS and any(name.startswith("meta_data") for name in names)


def is_velox(head: bytes, path: Path) -> bool:
    """Velox EMD: HDF5 with `Version` and `Data`."""
    return hdf5_layout(head, path) == "velox"


def is_ncem_emd(head: bytes, path: Path) -> bool:
    """NCEM (Berkeley) EMD, including files of Prismatic and py4DSTEM."""
    return hdf5_layout(head, path) == "ncem"


def is_hspy(head: bytes, path: Path) -> bool:
    """HyperSpy's own HDF5."""
    return hdf5_layout(head, path) == "hspy"


def is_nexus(head: bytes, path: Path) -> bool:
    """NeXus HDF5: a group of class NXentry at the root, of no definition that has a reader of its own."""
    return hdf5_layout(head, path) == "nexus" and not is_probe(head, path) and not is_xray(head, path)


def hdf5_layout(head: bytes, path: Path) -> str:
    """"velox", "ncem", "hspy", "nexus", or "" for other files, other layouts and damaged containers."""
    return told_by_groups(head, path, _layout, "")


def _layout(file: h5py.File) -> str:
    if is_cxi(file) or is_master(file):
        return ""
    if "Version" in file and "Data" in file and isinstance(file["Version"], h5py.Dataset):
        return "velox"
    if "Experiments" in file and ("file_format" in file.attrs or "file_format_version" in file.attrs):
        return "hspy"
    groups = [item for item in (file.get(name) for name in file) if isinstance(item, h5py.Group)]
    if any(_text(group.attrs.get("NX_class")) == "NXentry" for group in groups):
        return "nexus"
    if any("version_major" in item.attrs or "emd_group_type" in item.attrs for item in (file, *groups)):
        return "ncem"
    return ""


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
