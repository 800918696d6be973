"""What a file holds, by its first bytes: a film or a picture, whatever its name says."""

from pathlib import Path
from typing import Literal

Content = Literal["picture", "film"]

_HEAD_BYTES = 4096
_PICTURES = (
    *(b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*"),
    *(b"P" + bytes([kind, space]) for kind in b"2356" for space in b" \t\r\n"),  # PGM, PPM
    *(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),  # JPEG 2000
)
_FILMS = (
    b"GIF8",
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: .wmv
    b"FLV\x01",
    b"\0\0\x01\xba",  # MPEG-PS
    b"\0\0\x01\xb3",  # MPEG-1 and -2 without a container
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01",  # MXF
    b"\x1f\x07\0",  # DV
    b"DKIF",  # IVF
    b"YUV4MPEG2 ",
    *(b"\0\0\0\x01" + bytes([unit]) for unit in (0x09, 0x27, 0x47, 0x67)),  # H.264 alone
    *(b"\0\0\0\x01" + bytes([unit]) for unit in (0x40, 0x46)),  # HEVC alone
)
_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # QuickTime before 2001
_PHOTO_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif", b"avis", b"msf1", b"hevc")
_SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ")
_OGG_FILMS = (b"\x80theora", b"OVP80", b"\x01video", b"BBCD\0")
_TS_PACKETS = ((188, 0), (192, 4), (204, 0))  # plain, with times (.m2ts), with parity
_TS_SYNCS = 5


def content_of(path: str | Path) -> Content | None:
    """What the file at `path` holds; None for sound, for anything else and where no file is.

    A GIF counts as a film. That the rest of the file can be read is not known from its first bytes.
    """
    try:
        if not Path(path).is_file():  # a pipe would lose what is read from it
            return None
        with Path(path).open("rb") as file:
            return content_of_bytes(file.read(_HEAD_BYTES))
    except (OSError, ValueError):  # no permission, no such name
        return None


def content_of_bytes(head: bytes) -> Content | None:
    """What a file holds that begins with `head`, of which 4096 bytes are enough."""
    if head[:4] == b"RIFF":
        return {b"WEBP": "picture", b"AVI ": "film"}.get(head[8:12])  # type: ignore[return-value]
    if head[4:8] == b"ftyp":
        return _by_brand(head[8:12])
    if head[:4] == b"OggS":
        return "film" if any(codec in head for codec in _OGG_FILMS) else None
    if head.startswith(_PICTURES) or _is_bitmap(head):
        return "picture"
    if head.startswith(_FILMS) or head[4:8] in _ATOMS or _is_transport_stream(head):
        return "film"
    return None


def _by_brand(brand: bytes) -> Content | None:
    if brand in _PHOTO_BRANDS:
        return "picture"
    return None if brand in _SOUND_BRANDS else "film"


def _is_bitmap(head: bytes) -> bool:
    return head[:2] == b"BM" and head[6:10] == bytes(4)  # text may begin with BM


def _is_transport_stream(head: bytes) -> bool:
    """Whether a packet of MPEG-TS begins wherever one should."""
    return any(
        head[start : start + size * _TS_SYNCS : size] == b"\x47" * _TS_SYNCS
        for size, start in _TS_PACKETS
    )
