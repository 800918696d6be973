"""Does a film's file end where its container says?"""

import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mien.sources.packets import Damage, packets

_GUID_OF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_MXF_PARTITION = bytes.fromhex("060e2b34020501010d010201")
_SEGMENT, _EBML = 0x18538067, 0x1A45DFA3
_DURATION = re.compile(r"(\d+):(\d+):(\d+\.?\d*)")  # a tag of FFmpeg's and MKVToolNix's
_TAIL_BYTES = 65_536
_MOST_PARTS = 100_000
_MOSTLY, _LONG_S = 0.9, 1.0


def lacks_bytes(path: str, format: str, codec: str) -> bool:
    """Whether a file is shorter than its container says; False where that does not say.

    `format` and `codec` are FFmpeg's names.
    """
    if format == "mpegts" and codec != "hevc":  # of others, the decoder tells a torn frame
        format = "mpegts plain"
    check = next((_CHECKS[name] for name in format.split(",") if name in _CHECKS), None)
    if check is None or not Path(path).is_file():
        return False
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        try:
            return check(file, size)
        except (struct.error, IndexError):  # the file ends within a head
            return True


def stated_s(container: Any, stream: Any) -> float | None:
    """How long the picture is by the container's head; None where that is only estimated."""
    if _STATING.isdisjoint(container.format.name.split(",")):
        return None
    if container.format.name == "avi" and stream.frames:  # its duration FFmpeg makes of the bytes
        return float(stream.frames * stream.time_base)
    if stream.duration:
        return float(stream.duration * stream.time_base)
    told = _DURATION.match(stream.metadata.get("DURATION", ""))
    if told is not None:
        hours, minutes, seconds = map(float, told.groups())
        return 3600 * hours + 60 * minutes + seconds
    return container.duration / 1_000_000 if container.duration else None


def goes_on(container: Any, stream: Any, end_s: float) -> bool:
    """Whether other tracks go on well after `end_s`, where the picture ends: it ended by itself."""
    others = [track for track in container.streams if track.index != stream.index]
    if not others:
        return False
    until_s = end_s + float((stream.start_time or 0) * stream.time_base) + _LONG_S
    return any(
        float(packet.pts * packet.time_base) > until_s
        for packet in packets(container, others, Damage())
        if packet.size and packet.pts is not None
    )


def has_a_hole(container: Any) -> bool:
    """Whether much of the file's end gave no packet of any track, where no table lists them all."""
    if "mov" in container.format.name.split(","):
        return False
    tracks = [*container.streams]
    ends = (p.pos + p.size for p in packets(container, tracks, Damage()) if p.size and p.pos)
    return bool(max(ends, default=0) < _MOSTLY * container.size)


def _boxes(file: BinaryIO, size: int) -> bool:
    """MP4: boxes of a length, one after the other; 0 is: up to the end."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        if length == 0 or not kind.strip().isalnum():  # something else was appended
            return False
        if place + length > size:
            return True
        place += max(8, length)
    return False


def _chunks(file: BinaryIO, size: int) -> bool:
    """AVI: one or more RIFF chunks; a recorder that was switched off has not filled in a length."""
    place = 0
    while place + 12 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        if name != b"RIFF" or length == 0:
            return False
        place += 8 + length + length % 2
    return place > size + 1


def _elements(file: BinaryIO, size: int) -> bool:
    """Matroska: the segment has a length, or, written live, only the clusters in it."""
    for identifier, begin, length in _ebml(file, 0):
        if identifier == _SEGMENT:
            if length is not None:
                return begin + length > size
            return any(b + (n or 0) > size for _, b, n in _ebml(file, begin))
        if begin + (length or 0) > size:
            return True
    return False


def _ebml(file: BinaryIO, place: int) -> Iterator[tuple[int, int, int | None]]:
    """Identifier, begin and length of elements, the last one of an unknown length."""
    for _ in range(_MOST_PARTS):
        file.seek(place)
        head = file.read(12)
        if not head:
            return
        width = 9 - head[0].bit_length()
        identifier = int.from_bytes(head[:width], "big")
        length_width = 9 - head[width].bit_length()
        value = int.from_bytes(head[width : width + length_width], "big")
        value &= (1 << 7 * length_width) - 1
        begin = place + width + length_width
        if width > 4 or length_width > 8 or value == (1 << 7 * length_width) - 1:
            yield identifier, begin, None
            return
        yield identifier, begin, value
        place = begin + value


def _packets(file: BinaryIO, size: int) -> bool:
    """MPEG-TS: packets of 188 bytes, or of 192 or 204."""
    packet, _ = _packet_of(file)
    return size % packet != 0


def _stuffed_packets(file: BinaryIO, size: int) -> bool:
    """The same; the last packet of a frame is filled up to its length."""
    packet, start = _packet_of(file)
    if size % packet:
        return True
    file.seek(size - packet + start)
    last = file.read(4)
    return not last[1] & 0x40 and last[3] & 0x30 == 0x10  # begins no frame, and is not filled


def _packet_of(file: BinaryIO) -> tuple[int, int]:
    """How long packets are, and where in them the first 0x47 stands."""
    head = file.read(2048)
    for packet, start in ((188, 0), (192, 4), (204, 0)):
        syncs = head[start::packet]
        if syncs.count(b"\x47") == len(syncs):
            return packet, start
    return 188, 0


def _tags(file: BinaryIO, size: int) -> bool:
    """FLV: behind each tag stands how long it is."""
    file.seek(size - 4)
    (length,) = struct.unpack(">I", file.read(4))
    if length + 4 > size:
        return True
    file.seek(size - 4 - length)
    return length > 0 and file.read(1)[0] & 0x1F not in (8, 9, 18)


def _pages(file: BinaryIO, size: int) -> bool:
    """Ogg: the last page says that it is the last, and is whole."""
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read()
    page = tail[tail.rindex(b"OggS") :] if b"OggS" in tail else b""
    table = page[27 : 27 + page[26]]
    return not page[5] & 4 or 27 + len(table) + sum(table) > len(page)


def _properties(file: BinaryIO, size: int) -> bool:
    """ASF: the head holds the file's size."""
    head = file.read(_TAIL_BYTES)
    place = head.find(_GUID_OF_FILE_PROPERTIES)
    return place >= 0 and int(struct.unpack_from("<Q", head, place + 40)[0]) > size


def _footer(file: BinaryIO, size: int) -> bool:
    """MXF: the head tells where the last part begins."""
    head = file.read(_TAIL_BYTES)
    place = head.find(_MXF_PARTITION)
    if place < 0:
        return False
    width = head[place + 16]  # BER: one byte, or so many bytes more
    value = place + 17 + (width & 0x7F if width & 0x80 else 0)
    return int(struct.unpack_from(">Q", head, value + 24)[0]) > size


def _trailer(file: BinaryIO, size: int) -> bool:
    """GIF: the last byte is a semicolon."""
    file.seek(max(0, size - 64))
    return not file.read().rstrip(b"\0\r\n ").endswith(b";")


def _frames(file: BinaryIO, size: int) -> bool:
    """DV: each frame has 12 (PAL) or 10 sequences of 12,000 bytes."""
    return size % (144_000 if file.read(4)[3] & 0x80 else 120_000) != 0


_CHECKS: dict[str, Callable[[BinaryIO, int], bool]] = {
    "mov": _boxes,
    "avi": _chunks,
    "matroska": _elements,
    "mpegts": _stuffed_packets,
    "mpegts plain": _packets,
    "flv": _tags,
    "ogg": _pages,
    "asf": _properties,
    "mxf": _footer,
    "gif": _trailer,
    "dv": _frames,
}
_STATING = {"mov", "avi", "matroska", "flv", "asf", "mxf"}
"""Whose heads say how long the film is; for others FFmpeg looks at what is there."""
