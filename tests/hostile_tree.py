"""A folder of class folders with whatever people and programs leave in one, and what must become of each entry.

Good pictures stand among entries that are odd in one way each: files that are no pictures, or broken ones, or unusual
ones; names; links, and what is no file at all. Needs no rights: what only another user could make is left out.
"""

from __future__ import annotations

import io
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

CLASSES = ("cats", "dogs")

Fate = Literal[
    "kept",  # a clean row of its class
    "held back",  # unlabelled
    "problem",  # quarantined with the source's problem
    "rejected",  # quarantined with a reason that cleaning finds
    "left alone",  # no row at all
]


@dataclass(frozen=True)
class Expected:
    """What must become of an entry: `why` is the problem, or the reasons of which cleaning gives one."""

    fate: Fate
    label: int | None = None
    why: tuple[str, ...] = ()
    note: str = ""


@dataclass
class Tree:
    """The folder, and by each entry's `source` what must become of it. `odd` are those that are not plainly good."""

    folder: Path
    entries: dict[str, Expected] = field(default_factory=dict)
    odd: set[str] = field(default_factory=set)
    close: Callable[[], None] = lambda: None

    def of(self, fate: Fate) -> dict[str, Expected]:
        """Return the entries of a fate."""
        return {source: each for source, each in self.entries.items() if each.fate == fate}


def pixels(seed: int, shape: tuple[int, ...] = (12, 10, 3)) -> Any:
    """Return pixels of no other seed: each row is a content of its own."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def picture(seed: int, encoding: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
    """Return a picture's bytes."""
    image = Image.fromarray(pixels(seed))
    if mode == "I;16":
        image = Image.fromarray(np.random.default_rng(seed).integers(0, 2**16, (12, 10), np.uint16))
    elif mode != "RGB":
        image = image.convert("L").convert(mode) if mode in ("1", "F", "I") else image.convert(mode)
    content = io.BytesIO()
    image.save(content, encoding, **options)
    return content.getvalue()


def png_chunk(name: bytes, content: bytes) -> bytes:
    """Return a PNG's chunk with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(width: int, height: int, *chunks: bytes) -> bytes:
    """Return a PNG that declares a size, with further chunks and too few pixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(chunks)
        + png_chunk(b"IDAT", zlib.compress(b"\0"))
        + png_chunk(b"IEND", b"")
    )


def with_damaged_checksum(content: bytes) -> bytes:
    """Return a PNG with one bit of a pixel chunk's checksum changed."""
    place = content.index(b"IDAT")
    (length,) = struct.unpack_from(">I", content, place - 4)
    changed = bytearray(content)
    changed[place + 4 + length] ^= 1
    return bytes(changed)


def animated(seed: int, encoding: str) -> bytes:
    """Return a picture of two frames."""
    content = io.BytesIO()
    first, second = (Image.fromarray(pixels(seed + each)) for each in (0, 1))
    first.save(content, encoding, save_all=True, append_images=[second], duration=100)
    return content.getvalue()


def exif_rotated(seed: int, orientation: int, encoding: str = "JPEG") -> bytes:
    """Return a picture with an EXIF orientation."""
    exif = Image.Exif()
    exif[274] = orientation
    return picture(seed, encoding, exif=exif)


def _odd_files() -> dict[bytes, tuple[bytes, Expected]]:
    """Return odd files of the folder `cats` by name."""

    def broken(why: str | tuple[str, ...], note: str = "", fate: Fate = "rejected") -> Expected:
        return Expected(fate, 0, (why,) if isinstance(why, str) else why, note)

    kept = Expected("kept", 0)
    bomb = zlib.compress(bytes(64 * 2**20), 9)
    jpeg, png = picture(900, "JPEG"), picture(901)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("inner.png", picture(902))
    return {
        # No pictures.
        b"empty.png": (b"", broken("empty", fate="problem")),
        b"zeros.png": (bytes(500), broken("not a picture", fate="problem")),
        b"text.jpg": (b"not a picture at all\n", broken("not a picture", fate="problem")),
        b"page.png": (b"<!DOCTYPE html><html></html>", broken("not a picture", fate="problem")),
        b"vector.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", broken("not a picture", fate="problem")),
        b"notes.txt": (b"taken in May", broken("not a picture", fate="problem")),
        b"list.csv": (b"file,label\na,b\n", broken("not a picture", fate="problem")),
        b"archive.zip": (zipped.getvalue(), broken("not a picture", fate="problem")),
        b"zip.png": (zipped.getvalue(), broken("not a picture", "disguised", fate="problem")),
        b"program.jpg": (b"\x7fELF\x02\x01\x01" + bytes(100), broken("not a picture", fate="problem")),
        b"one byte.png": (b"\x89", broken("not a picture", fate="problem")),
        b"pointer.jpg": (b"version https://git-lfs.github.com/spec/v1\n", broken("not a picture", fate="problem")),
        # Broken pictures. What exactly is wrong with one, a decoder may see in two ways.
        b"signature only.png": (png[:8], broken(("truncated", "damaged"))),
        b"half header.png": (png[:20], broken(("truncated", "damaged"))),
        b"half.png": (png[: len(png) // 2], broken(("truncated", "damaged"))),
        b"without end.png": (png[:-12], broken(("truncated", "damaged"))),
        b"half.jpg": (jpeg[: len(jpeg) // 2], broken(("truncated", "damaged"))),
        b"start only.jpg": (jpeg[:4], broken(("truncated", "damaged"))),
        b"half.gif": ((gif := picture(903, "GIF"))[: len(gif) // 2], broken(("truncated", "damaged"))),
        b"half.webp": (
            (webp := picture(904, "WEBP", lossless=True))[: len(webp) // 2],
            broken(("truncated", "damaged")),
        ),
        b"half.bmp": ((bmp := picture(905, "BMP"))[: len(bmp) // 2], broken(("truncated", "damaged"))),
        b"half.tiff": ((tiff := picture(906, "TIFF"))[: len(tiff) // 2], broken(("truncated", "damaged"))),
        b"bad checksum.png": (with_damaged_checksum(picture(907)), broken("damaged")),
        b"zeros after header.jpg": (jpeg[:30] + bytes(500), broken(("truncated", "damaged", "unsupported mode"))),
        # Bombs.
        b"pixels.png": (png_of(60_000, 60_000), broken(("too large", "truncated", "damaged"), "3.6 billion pixels")),
        b"no pixels.png": (png_of(0, 0), broken(("truncated", "damaged", "too large"))),
        b"text bomb.png": (
            png_of(10, 12, png_chunk(b"zTXt", b"a\0\0" + bomb)),
            broken(("too large", "damaged", "truncated")),
        ),
        b"profile bomb.png": (
            png_of(10, 12, png_chunk(b"iCCP", b"a\0\0" + bomb)),
            broken(("too large", "damaged", "truncated")),
        ),
        # Several frames: of a GIF the first one counts.
        b"animated.gif": (animated(910, "GIF"), kept),
        b"animated.png": (animated(912, "PNG"), broken("several frames")),
        b"animated.webp": (animated(914, "WEBP"), broken("several frames")),
        b"pages.tiff": (animated(916, "TIFF"), broken("several frames")),
        # Unusual ones that are good.
        b"grey.png": (picture(920, mode="L"), kept),
        b"grey alpha.png": (picture(921, mode="LA"), kept),
        b"palette.png": (picture(922, mode="P"), kept),
        b"alpha.png": (picture(923, mode="RGBA"), kept),
        b"one bit.png": (picture(924, mode="1"), kept),
        b"16 bit.png": (picture(925, mode="I;16"), kept),
        b"cmyk.jpg": (picture(926, "JPEG", "CMYK"), kept),
        b"progressive.jpg": (picture(927, "JPEG", progressive=True), kept),
        b"lossless.webp": (picture(928, "WEBP", lossless=True), kept),
        b"lossy.webp": (picture(929, "WEBP"), kept),
        b"picture.bmp": (picture(930, "BMP"), kept),
        b"picture.tiff": (picture(931, "TIFF"), kept),
        b"picture.gif": (picture(932, "GIF"), kept),
        b"interlaced.png": (_interlaced(933), kept),
        b"turned 3.jpg": (exif_rotated(934, 3), kept),
        b"turned 6.jpg": (exif_rotated(935, 6), kept),
        b"turned 8.png": (exif_rotated(936, 8, "PNG"), kept),
        b"floats.tiff": (picture(937, "TIFF", "F"), broken("unsupported mode")),
        b"wrong ending.png": (picture(938, "JPEG"), Expected("kept", 0, note="a JPEG")),
        b"no ending": (picture(939), kept),
        b"UPPER.PNG": (picture(940), kept),
        b"more after it.png": (picture(941) + b"more", Expected("kept", 0, note="bytes after the end")),
        # Names.
        b" spaces .png": (picture(950), kept),
        b"new\nline.png": (picture(951), kept),
        b"tab\t'quote'\".png": (picture(952), kept),
        "😀 smile.png".encode(): (picture(953), kept),
        "cafe\N{COMBINING ACUTE ACCENT}.png".encode(): (picture(954), kept),
        "\N{RIGHT-TO-LEFT OVERRIDE}gnp.png".encode(): (picture(955), kept),
        b"\xff\xfe.png": (picture(956), kept),
        b"l" * 251 + b".png": (picture(957), kept),
        b"-rf.png": (picture(958), kept),
        b"back\\slash.png": (picture(959), kept),
        b"ex!clamation.png": (picture(960), kept),
        b"100%.png": (picture(961), kept),
        b".hidden.png": (picture(962), kept),
        # What other programs leave.
        b".DS_Store": (b"\0\0\0\1Bud1", Expected("left alone")),
        b"._cat.jpg": (b"\0\5\x16\7", Expected("left alone")),
        b"Thumbs.db": (b"\xd0\xcf\x11\xe0", Expected("left alone")),
        b"README.md": (b"# Cats", Expected("left alone")),
    }


def _interlaced(seed: int) -> bytes:
    """Return a PNG of one pixel whose header says that it is interlaced (Adam7): Pillow writes none."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1))
    data = zlib.compress(b"\0" + pixels(seed, (1, 1, 3)).tobytes())
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def write_hostile_tree(folder: Path, good: int = 6, *, only_files: bool = False) -> Tree:
    """Write the tree and return what must become of each entry; call `close()` when it is no longer needed.

    `good` is the number of good pictures of each class. `only_files`: without FIFOs, sockets and links, which a whole
    run refuses before it begins.
    """
    folder = folder / "pictures"
    tree = Tree(folder)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)

    def put(name: bytes, content: bytes, expected: Expected, *, is_odd: bool = True) -> None:
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        note(name, expected, is_odd=is_odd)

    def note(name: bytes, expected: Expected, *, is_odd: bool = True) -> None:
        source = name.decode("utf-8", "backslashreplace")
        tree.entries[source] = expected
        if is_odd:
            tree.odd.add(source)

    for number in range(good):
        for label, name in enumerate(CLASSES):
            encoding, ending = (("PNG", "png"), ("JPEG", "jpg"))[number % 2]
            content = picture(10 * number + label, encoding)
            put(f"{name}/good {number}.{ending}".encode(), content, Expected("kept", label), is_odd=False)
    for name, (content, expected) in _odd_files().items():
        put(b"cats/" + name, content, expected)
    put(b"dogs/puppies/deep/er/one.png", picture(970), Expected("kept", 1))
    both = picture(971)
    put(b"cats/both.png", both, Expected("rejected", 0, ("conflicting label",)))
    put(b"dogs/both.png", both, Expected("rejected", 1, ("conflicting label",)))
    twice = picture(972)
    put(b"dogs/twice a.png", twice, Expected("kept", 1))
    put(b"dogs/twice b.png", twice, Expected("rejected", 1, ("exact duplicate",)))
    put(b"birds/one.png", picture(973), Expected("rejected", -1, ("label outside the declared classes",)))
    put(
        b"Cats/one.png", picture(974), Expected("rejected", -1, ("label outside the declared classes",), "another case")
    )
    put(b"loose.png", picture(975), Expected("held back"))
    put(b"unlabelled/one.png", picture(976), Expected("held back"))
    put(b"unlabelled/text.png", b"text", Expected("problem", None, ("not a picture",)))
    put(b"cats/large.png", picture(977) + bytes(2**20), Expected("problem", 0, ("file too large",), "over 1 MiB"))
    put(b".git/config", b"[core]", Expected("left alone"))
    put(b"__MACOSX/cats/._good.png", b"\0\5\x16\7", Expected("left alone"))
    if not only_files:
        _put_others(tree, note)
    return tree


def _put_others(tree: Tree, note: Callable[..., None]) -> None:
    """Put what is neither a file nor a folder, and links."""
    folder = tree.folder
    os.mkfifo(folder / "cats" / "fifo.png")
    note(b"cats/fifo.png", Expected("problem", 0, ("neither file nor folder",)))
    listening = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(folder / "cats")  # a socket's path has 108 bytes at most
    try:
        listening.bind("socket.png")
    finally:
        os.chdir(here)
    tree.close = listening.close
    note(b"cats/socket.png", Expected("problem", 0, ("neither file nor folder",)))
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(picture(980))
    links = {
        "out.png": ("../../outside/secret.png", "link out of the folder"),
        "absolute.png": (str(outside / "secret.png"), "link out of the folder"),
        "null.png": ("/dev/null", "link out of the folder"),
        "passwords.png": ("/etc/passwd", "link out of the folder"),
        "folder out": ("../../outside", "link out of the folder"),
        "loop": ("..", "link to a folder"),
        "itself.png": ("itself.png", "link that leads nowhere"),
        "nowhere.png": ("nowhere/at/all.png", "link that leads nowhere"),
        "to fifo.png": ("fifo.png", "neither file nor folder"),
    }
    for name, (target, problem) in links.items():
        (folder / "cats" / name).symlink_to(target)
        note(f"cats/{name}".encode(), Expected("problem", 0, (problem,)))
    (folder / "cats" / "inside.png").symlink_to("../dogs/linked to.png")
    (folder / "dogs" / "linked to.png").write_bytes(picture(981))
    note(b"cats/inside.png", Expected("rejected", 0, ("conflicting label",), "a link to a dog"))
    note(b"dogs/linked to.png", Expected("rejected", 1, ("conflicting label",)))
