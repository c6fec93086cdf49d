"""What is known of one picture after decoding it, or why it cannot be trusted."""

from __future__ import annotations

from dataclasses import dataclass

from residua.errors import UserError


class BadImageError(UserError):
    """A picture that cannot be read whole; `reason` says why, without naming it."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name!r} cannot be read: {reason}.")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type[BadImageError], tuple[str, str]]:
        """Travel between processes."""
        return BadImageError, (self.name, self.reason)


@dataclass(frozen=True, slots=True)
class Facts:
    """One picture, decoded whole."""

    width: int  # upright
    height: int
    digest: bytes  # of the upright pixels: equal for equal pictures, however they are stored
    traits: tuple[str, ...] = ()  # of TRAITS, what is unusual about it


# What is unusual, and what Residua does about it.
TRAITS = {
    "grayscale": "read as gray, all channels alike",
    "palette": "its palette is applied",
    "transparent": "laid on white",
    "cmyk": "converted to RGB",
    "16-bit": "scaled to 8 bits, not cut off",
    "animated": "only the first frame is used",
    "rotated": "turned upright as its EXIF says",
    "wrong extension": "read by its content",
}
