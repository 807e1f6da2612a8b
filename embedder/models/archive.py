"""The zip archive that torch.save writes, compared with its own checksums, as torch.load(mmap=True) does not.

Facts: PKWARE's APPNOTE 4.3.7 (local headers); PyTorch, caffe2/serialize/inline_container.cc, which stores its records uncompressed and
reads them where their local headers end, and writes 0 for a checksum that it does not compute (torch.serialization.set_crc32_options).
"""

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

ZIP_START = b"PK\x03\x04"
LOCAL_HEADER = struct.Struct("<4s22xHH")
"""Signature; the lengths of the name and of the extra field that follow the header."""
UTF8 = 0x800
"""The flag of a member whose name is UTF-8."""
CHUNK = 1 << 20
"""Bytes read at a time."""


@dataclass(frozen=True, kw_only=True)
class Hashed:
    """What one reading of a file tells."""

    sha256: str
    """Hexadecimal."""
    damage: str | None
    """What is wrong with the archive; None for one that is whole, and for a file that is none."""
    lacks_checksums: bool
    """Whether damage to a member would not show."""


@dataclass(frozen=True, kw_only=True)
class _Member:
    name: str
    start: int
    stop: int
    """Bytes [start, stop) of the file are its content."""
    crc: int


def hash_file(path: Path) -> Hashed:
    """Read a file once, for its SHA-256 and, where it is an archive, for the checksum of each of its members."""
    sha256, damage, members, computed = hashlib.sha256(), None, [], []
    with path.open("rb") as file:
        if file.read(len(ZIP_START)) == ZIP_START:
            try:
                members = _members(file)
            except Exception as error:  # noqa: BLE001 - a damaged or hostile archive can raise anything
                damage = " ".join(str(error).split())[:200] or type(error).__name__
        position = file.seek(0)
        for member in members:
            for chunk in _chunks(file, member.start - position):
                sha256.update(chunk)
            crc = 0
            for chunk in _chunks(file, member.stop - member.start):
                sha256.update(chunk)
                crc = zlib.crc32(chunk, crc)
            computed.append(crc)
            position = member.stop
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
    wrong = [member for member, crc in zip(members, computed, strict=True) if member.crc != crc]
    if damaged := [member.name for member in wrong if member.crc]:
        damage = f"{damaged[0][:100]!r} in it does not match its checksum"
    return Hashed(sha256=sha256.hexdigest(), damage=damage, lacks_checksums=bool(wrong))


def _members(file: BinaryIO) -> list[_Member]:
    """In the order of the file. Raises where they are not what torch.save writes, or reach into each other."""
    members, end = [], 0
    with zipfile.ZipFile(file) as archive:
        for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
            file.seek(info.header_offset)
            signature, name_length, extra_length = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
            start = info.header_offset + LOCAL_HEADER.size + name_length + extra_length
            name = file.read(name_length).decode("utf-8" if info.flag_bits & UTF8 else "cp437")
            if signature != ZIP_START or name != info.orig_filename or info.header_offset < end or (info.header_offset and not end):
                raise ValueError(f"{info.filename[:100]!r} in it is not where it should be")
            if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
                raise ValueError(f"{info.filename[:100]!r} in it is compressed, which torch.save does not do")
            end = start + info.file_size
            members.append(_Member(name=info.filename, start=start, stop=end, crc=info.CRC))
        if end > archive.start_dir:
            raise ValueError("it is cut off")
    return members


def _chunks(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0 and (chunk := file.read(min(length, CHUNK))):
        length -= len(chunk)
        yield chunk
