"""What a user did wrong, said in one sentence, and what is no mistake of a program."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

NO_ROOM = ("can't allocate memory", "not enough memory", "out of memory")  # Linux, Windows, CUDA's libraries


class UserError(ValueError):
    """A mistake that the user can mend: the message names the input and says what to do."""

    exit_code = 2


def out_of_memory(error: Exception) -> bool:
    """Whether it says that there is no room; PyTorch has a kind of its own for a GPU's only."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch may be absent
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in NO_ROOM)


def unknown(what: str, given: str, known: Iterable[str]) -> UserError:
    """Error for a name that does not exist, with the nearest that do."""
    known = sorted(set(known))
    near = get_close_matches(given, known, n=3, cutoff=0.5)
    every = ", ".join(known) if len(known) < 50 else f"{', '.join(known[:10])} and {len(known) - 10} more"
    hint = f"did you mean {' or '.join(near)}?" if near else f"valid are {every}."
    return UserError(f"unknown {what} {given!r}: {hint}")
