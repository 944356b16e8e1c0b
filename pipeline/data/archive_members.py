"""The members of a zip or tar archive, one after the other as they stand in it: nothing is written to a disk.

Zip: APPNOTE.TXT 6.3 (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT), by `zipfile`. Tar: POSIX.1-2017,
pax, "ustar Interchange Format", and GNU's long names; headers by `tarfile`, which is not left to read the archive,
because it reads a name of any declared length into memory. Names are compared when `./`, and a zip's `\\`, are plain.
"""

from __future__ import annotations

import bz2
import copy
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from pipeline.data.file_reading import Problem, open_stream
from pipeline.data.problems import (
    DAMAGED_MEMBER,
    ENCRYPTED,
    FILE_TOO_LARGE,
    LINK_IN_ARCHIVE,
    NAME_LEADS_OUT,
    NESTED,
    NOT_A_FILE,
    OVERLAPS,
    SWELLS,
    TWICE_IN_ARCHIVE,
)
from pipeline.data.unpacking import Unpacked
from pipeline.errors import DataError

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

_FIRST_BYTES = {
    b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz",
    b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar",
}  # fmt: skip
_SMALL_BYTES = 2**20  # a member may unpack to as many, whatever its ratio
_DIRECTORY_BYTES = 200  # of a zip's directory for each member, on the average, at most
_BLOCK = 512  # of a tar
_SPARSE_GOES_ON, _MAP_GOES_ON = 482, 504  # where GNU says that a sparse file's map goes on: header, further block
_PACKED_BYTES = 2**16  # of bzip2 in a zip, that are read at once
_LONGEST_NAME = 2**16
_WITHOUT_CONTENT = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE,
                    tarfile.BLKTYPE)  # fmt: skip
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError, ValueError,
               struct.error, NotImplementedError)  # fmt: skip


class Limits(NamedTuple):
    """What an archive may hold: members, bytes of one, bytes of all, and how many times its size it may unpack to."""

    members: int
    member_bytes: int
    total_bytes: int
    ratio: int


class Member(NamedTuple):
    """One member: its name as spelt, the plain name, and its content, or why it cannot be had.

    `number` counts the earlier members of the same name. A folder has no content; its plain name ends in `/`.
    """

    spelt: str
    name: str
    content: bytes | Problem
    number: int = 0

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.name.endswith("/")


def archive_kind(content: bytes) -> str | None:
    """Return what kind of archive a file's bytes begin, None if none."""
    if content[257:262] == b"ustar":
        return "tar"
    return next((kind for first, kind in _FIRST_BYTES.items() if content.startswith(first)), None)


def zip_names(path: str, where: str, limits: Limits) -> list[str] | None:
    """Return the plain names of a zip's members, folders' with `/`; None for a tar, which has no directory to ask.

    Raises DataError if a file is neither, or breaks a limit as a whole, StorageError if it cannot be read.
    """
    with open_stream(path) as file:
        if _is_zip(file):
            with _opened_zip(file, where, limits) as archive:
                return [
                    _folder(info.orig_filename) if _is_zip_folder(info) else _plain(info.orig_filename)
                    for info in archive.infolist()
                    if not _is_zip_folder(info) or _is_inside(info.orig_filename)
                ]
        next(_tar_headers(Unpacked(file, where, limits.total_bytes, limits.ratio), where, limits), None)
    return None


def members(path: str, where: str, limits: Limits) -> Iterator[Member]:
    """Yield an archive's members in its order.

    Raises DataError if it is damaged as a whole, breaks a limit as a whole, or changes while it is read.
    """
    with open_stream(path) as file:
        before = os.fstat(file.fileno())
        found = _of_zip(file, where, limits) if _is_zip(file) else _of_tar(file, where, limits)
        seen: dict[str, int] = {}
        for member in found:
            if member.is_folder:
                yield member
                continue
            number = seen.get(member.name, 0)
            seen[member.name] = number + 1
            content = member.content
            if number and isinstance(content, bytes):
                content = (TWICE_IN_ARCHIVE, "the first one is read")
            elif isinstance(content, bytes) and (kind := archive_kind(content)):
                content = (NESTED, f"a {kind}; unpack it, or name it in data.path")
            yield member._replace(content=content, number=number)
        after = os.fstat(file.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise DataError(f"{where}: changed while it was read; run again when it is whole")


def _is_zip(file: BinaryIO) -> bool:
    first = file.read(4)
    file.seek(0)
    return first[:2] == b"PK"


def _plain(name: str) -> str:
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def _folder(name: str) -> str:
    return f"{_plain(name)}/"


def _is_inside(name: str) -> bool:
    """Return whether a folder is one below the archive's top."""
    return bool(_plain(name)) and not _leads_out(name)


def _leads_out(name: str) -> bool:
    spelt = name.replace("\\", "/")
    return spelt.startswith("/") or spelt[1:2] == ":" or ".." in spelt.split("/") or "\0" in name


# Zip


def _opened_zip(file: BinaryIO, where: str, limits: Limits) -> zipfile.ZipFile:
    size_bytes = _directory_bytes(file)
    if size_bytes > limits.members * _DIRECTORY_BYTES:
        raise DataError(f"{where}: its directory of {size_bytes} bytes has room for more than {limits.members} members")
    try:
        archive = zipfile.ZipFile(file)
    except _ZIP_DAMAGE as error:
        raise DataError(f"{where}: no whole zip: {error}; fetch it again") from error
    infos = archive.infolist()
    total = sum(info.file_size for info in infos)
    if len(infos) > limits.members or total > limits.total_bytes:
        archive.close()
        raise DataError(
            f"{where}: {len(infos)} members that unpack to {total} bytes; at most {limits.members} members and "
            f"{limits.total_bytes} bytes are read: if it is to be trusted, raise the limit in data.source.settings"
        )
    return archive


def _directory_bytes(file: BinaryIO) -> int:
    """Return the size that a zip's end declares for its directory: that is read into memory as a whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 2**16 - 22 - 76))
    end = file.read()
    place = end.rfind(b"PK\x05\x06")
    large = end.rfind(b"PK\x06\x06", 0, max(place, 0))
    file.seek(0)
    try:
        if large >= 0:
            return int(struct.unpack_from("<Q", end, large + 40)[0])
        return int(struct.unpack_from("<I", end, place + 12)[0]) if place >= 0 else 0
    except struct.error:
        return 0


def _of_zip(file: BinaryIO, where: str, limits: Limits) -> Iterator[Member]:
    with _opened_zip(file, where, limits) as archive:
        overlapping = _overlapping(archive.infolist())
        for number, info in enumerate(archive.infolist()):
            if _is_zip_folder(info):
                if _is_inside(info.orig_filename):
                    yield Member(info.orig_filename, _folder(info.orig_filename), b"")
            else:
                problem = _refused(info, limits) or ((OVERLAPS, None) if number in overlapping else None)
                content = problem or _zip_content(archive, info)
                yield Member(info.orig_filename, _plain(info.orig_filename), content)


def _is_zip_folder(info: zipfile.ZipInfo) -> bool:
    """Return whether a member is a folder: `is_dir` asks the name up to its first zero byte, and not for content."""
    return info.orig_filename.endswith("/") and "\0" not in info.orig_filename and not info.file_size


def _overlapping(infos: list[zipfile.ZipInfo]) -> set[int]:
    """Return which members share bytes with one before them: so a small zip would hold any number of large files.

    Fifield, "A better zip bomb", WOOT 2019.
    """
    found, end = set(), 0
    for number in sorted(range(len(infos)), key=lambda each: infos[each].header_offset):
        info = infos[number]
        if info.header_offset < end:
            found.add(number)
        end = max(end, info.header_offset + 30 + info.compress_size)
    return found


def _refused(info: zipfile.ZipInfo, limits: Limits) -> Problem | None:
    mode = info.external_attr >> 16
    if _leads_out(info.orig_filename):
        return NAME_LEADS_OUT, None
    if stat.S_ISLNK(mode):
        return LINK_IN_ARCHIVE, None
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return NOT_A_FILE, None
    if info.flag_bits & 1:
        return ENCRYPTED, None
    if info.file_size > limits.member_bytes:
        return FILE_TOO_LARGE, f"{info.file_size} bytes, at most {limits.member_bytes} are read"
    if info.file_size > max(_SMALL_BYTES, limits.ratio * info.compress_size):
        return SWELLS, f"{info.file_size} bytes of {info.compress_size}, at most {limits.ratio} times as many are read"
    if info.compress_type not in _ZIP_METHODS:
        return DAMAGED_MEMBER, f"compressed by method {info.compress_type}; stored, deflated and bzip2 are read"
    return None


def _zip_content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes | Problem:
    try:
        if info.compress_type == zipfile.ZIP_BZIP2:
            content = _bunzipped(archive, info)
        else:
            with archive.open(info) as stream:
                content = stream.read(info.file_size + 1)
    except _ZIP_DAMAGE as error:
        return DAMAGED_MEMBER, f"{error}"[:200] or type(error).__name__
    if len(content) != info.file_size:
        return DAMAGED_MEMBER, f"{len(content)} bytes, {info.file_size} are declared"
    return content


def _bunzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return a member's content, up to a byte more than it declares. `zipfile` unpacks 4 KiB of bzip2 as a whole:
    5 GB, where they are made to be.
    """  # fmt: skip
    packed = copy.copy(info)
    packed.compress_type, packed.file_size = zipfile.ZIP_STORED, info.compress_size
    del packed.CRC  # that of what is unpacked
    unpacking = bz2.BZ2Decompressor()
    pieces, left = [], info.file_size + 1
    with archive.open(packed) as stream:
        while left and not unpacking.eof:
            data = stream.read(_PACKED_BYTES) if unpacking.needs_input else b""
            piece = unpacking.decompress(data, left)
            if not piece and not data and unpacking.needs_input:
                break
            pieces.append(piece)
            left -= len(piece)
    content = b"".join(pieces)
    if len(content) == info.file_size and zlib.crc32(content) != info.CRC:
        raise zipfile.BadZipFile("its checksum is wrong")
    return content


# Tar


def _of_tar(file: BinaryIO, where: str, limits: Limits) -> Iterator[Member]:
    stream = Unpacked(file, where, limits.total_bytes, limits.ratio)
    for number, info in enumerate(_tar_headers(stream, where, limits)):
        if number >= limits.members:
            raise DataError(
                f"{where}: more than {limits.members} members; if it is to be trusted, raise the limit in "
                "data.source.settings"
            )
        content: bytes | Problem = _tar_refused(info, limits) or b""
        read = 0
        if not content:
            content = stream.read(info.size)
            read = len(content)
        padded = -(-info.size // _BLOCK) * _BLOCK
        if read + stream.skip(padded - read) < padded:
            raise DataError(f"{where}: truncated: ends inside its member {info.name[:100]!r}; fetch it again")
        if not info.isdir():
            yield Member(info.name, _plain(info.name), content)
        elif _is_inside(info.name):
            yield Member(info.name, _folder(info.name), b"")


def _tar_refused(info: tarfile.TarInfo, limits: Limits) -> Problem | None:
    if _leads_out(info.name):
        return NAME_LEADS_OUT, None
    if info.issym() or info.islnk():
        return LINK_IN_ARCHIVE, None
    if info.isdir():
        return None
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE):
        return NOT_A_FILE, None
    if info.size > limits.member_bytes:
        return FILE_TOO_LARGE, f"{info.size} bytes, at most {limits.member_bytes} are read"
    return None


def _tar_headers(stream: Unpacked, where: str, limits: Limits) -> Iterator[tarfile.TarInfo]:
    """Yield each member's header, names and sizes that stand before it applied; the caller reads what follows it."""
    changes: dict[str, str] = {}
    is_first, has_ended = True, False
    extensions = 0
    while True:
        block = stream.read(_BLOCK)
        if len(block) == _BLOCK and not block.strip(b"\0"):
            if is_first:
                raise DataError(f"{where}: an archive with nothing in it")
            has_ended = True  # but for what may come after it, as where one archive is appended to another
            continue
        if has_ended and not block.strip(b"\0"):
            return
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError) as error:
            if is_first:
                raise DataError(f"{where}: neither a zip nor a tar archive") from error
            raise DataError(f"{where}: {_no_header(block, has_ended)}; fetch it again") from error
        is_first = has_ended = False
        if info.size < 0:
            raise DataError(f"{where}: damaged: a member of {info.size} bytes; fetch it again")
        if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE):
            extensions += 1
            if info.size > _LONGEST_NAME or extensions > 2 * limits.members:
                raise DataError(f"{where}: a member's name of {info.size} bytes; at most {_LONGEST_NAME} are read")
            changes |= _extension(stream, info)
            continue
        _apply(changes, info)
        if info.type == tarfile.GNUTYPE_SPARSE:
            _pass_over_map(stream, block)
        yield info
        changes = {}


def _apply(changes: dict[str, str], info: tarfile.TarInfo) -> None:
    """Give a member the name and size that stand before it; a link, a folder and the like have no size."""
    info.name = changes.get("path", info.name)
    size = changes.get("size", "")
    if size.isdecimal() and len(size) < 20:
        info.size = int(size)
    if info.type in _WITHOUT_CONTENT:
        info.size = 0  # whatever they declare


def _no_header(block: bytes, has_ended: bool) -> str:
    if has_ended:
        return "what comes after its end is no archive"
    return "truncated: it has no end" if len(block) < _BLOCK else "damaged: a header is none"


def _pass_over_map(stream: Unpacked, header: bytes) -> None:
    """Pass over the blocks in which GNU's map of a sparse file goes on, which its size does not count."""
    goes_on = header[_SPARSE_GOES_ON : _SPARSE_GOES_ON + 1]
    while goes_on.strip(b"\0"):
        goes_on = stream.read(_BLOCK)[_MAP_GOES_ON : _MAP_GOES_ON + 1]


def _extension(stream: Unpacked, info: tarfile.TarInfo) -> dict[str, str]:
    """Read what stands before a member about it: a long name, or pax's records."""
    content = stream.read(-(-info.size // _BLOCK) * _BLOCK)[: info.size]
    if info.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": content.split(b"\0")[0].decode("utf-8", "surrogateescape")}
    found = {}
    while info.type == tarfile.XHDTYPE and content:
        length, _, _ = content.partition(b" ")
        if not length.isdigit() or not 0 < int(length[:9]) <= len(content):
            break
        record, content = content[len(length) + 1 : int(length) - 1], content[int(length) :]
        key, _, value = record.partition(b"=")
        if key in (b"path", b"size"):
            found[key.decode()] = value.decode("utf-8", "surrogateescape")
    return found
