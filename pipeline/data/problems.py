"""Why what a source found cannot be used, in the words that rows, counts and quarantine have: a closed list."""

from __future__ import annotations

# Of any file.
EMPTY = "empty"
NOT_A_PICTURE = "not a picture"
FILE_TOO_LARGE = "file too large"
UNREADABLE = "cannot be read"
CHANGED = "changed while it was read"
# Of what stands in a folder.
NOT_A_FILE = "neither file nor folder"
LINK_OUT = "link out of the folder"
LINK_TO_FOLDER = "link to a folder"
BROKEN_LINK = "link that leads nowhere"
# Of a member of an archive, and of what lies beside one.
NOT_AN_ARCHIVE = "beside the archives"
NAME_LEADS_OUT = "name leads out"
LINK_IN_ARCHIVE = "link in an archive"
ENCRYPTED = "encrypted"
TWICE_IN_ARCHIVE = "name is twice in the archive"
NESTED = "archive inside an archive"
SWELLS = "unpacks to too much"
OVERLAPS = "shares bytes with another member"
DAMAGED_MEMBER = "damaged in the archive"
OUTSIDE = "outside the folder that is read"
# Of an annotation.
NOT_THERE = "annotated file is not there"
NAMED_TWICE = "annotated twice"
NO_BOX = "annotated without a box"
SEVERAL_LABELS = "several labels"
BAD_ANNOTATION = "annotation cannot be understood"
# Of a record of a table.
WRONG_COLUMNS = "another number of values than columns"
BAD_QUOTES = "quotes that do not pair"
BARE_RETURN = "carriage return inside a line"
HOLDS_NUL = "holds a NUL character"
BAD_BYTES = "bytes that are no text"
VALUE_TOO_LARGE = "value too large"
BAD_LINE = "line cannot be understood"
LINE_TOO_LONG = "line too long"
NO_TEXT = "value that has no text"
# Of what a row says of itself.
NO_SUCH_PART = "no such part"
TARGET_NOT_A_NUMBER = "target is not a number"
NO_ID = "without an id"
NO_GROUP = "without a group"
NO_TIME = "without a time"
NO_WEIGHT = "without a weight"
NOT_A_WEIGHT = "not a weight"
NOT_A_TIME = "time cannot be understood"
NO_SUCH_TIME = "time that does not exist"
AMBIGUOUS_TIME = "time that comes twice"
NO_ZONE = "time without a zone"
KNOWN_AFTERWARDS = "known only afterwards"

PROBLEMS = (
    EMPTY, NOT_A_PICTURE, FILE_TOO_LARGE, UNREADABLE, CHANGED, NOT_A_FILE, LINK_OUT, LINK_TO_FOLDER, BROKEN_LINK,
    NOT_AN_ARCHIVE, NAME_LEADS_OUT, LINK_IN_ARCHIVE, ENCRYPTED, TWICE_IN_ARCHIVE, NESTED, SWELLS, OVERLAPS,
    DAMAGED_MEMBER, OUTSIDE, NOT_THERE, NAMED_TWICE, NO_BOX, SEVERAL_LABELS, BAD_ANNOTATION,
    WRONG_COLUMNS, BAD_QUOTES, BARE_RETURN, HOLDS_NUL, BAD_BYTES, VALUE_TOO_LARGE, BAD_LINE, LINE_TOO_LONG,
    NO_TEXT, NO_SUCH_PART, TARGET_NOT_A_NUMBER, NO_ID, NO_GROUP, NO_TIME, NO_WEIGHT, NOT_A_WEIGHT, NOT_A_TIME,
    NO_SUCH_TIME, AMBIGUOUS_TIME, NO_ZONE, KNOWN_AFTERWARDS,
)  # fmt: skip
