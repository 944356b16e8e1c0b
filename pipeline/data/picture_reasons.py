"""Why a picture cannot be used: every reason that decoding gives, the first to be looked for first."""

EMPTY = "empty"
NOT_A_PICTURE = "not a picture"
TRUNCATED = "truncated"
DAMAGED = "damaged"
TOO_LARGE = "too large"
SEVERAL_FRAMES = "several frames"
UNSUPPORTED_MODE = "unsupported mode"
WRONG_SIZE = "wrong size"
REASONS = (EMPTY, NOT_A_PICTURE, TRUNCATED, DAMAGED, TOO_LARGE, SEVERAL_FRAMES, UNSUPPORTED_MODE, WRONG_SIZE)
