"""Random numbers that are a function of what they are for: the same in every process, batch and order."""

from __future__ import annotations

import functools
import hashlib

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF


def uniform(seed: int, epoch: int, samples: Tensor, stream: str, count: int) -> Tensor:
    """Return `count` numbers in [0, 1) for each sample; another stream gives independent ones.

    They are on the samples' device, float32 of 24 random bits, and the same bits on every device.
    """
    first, second, third = _keys(seed, epoch, stream)
    each = _mixed(_mixed(samples & _MASK ^ first) ^ (samples >> 32 & _MASK) ^ second)
    draws = _mixed(torch.arange(count, device=samples.device) ^ third)
    return (_mixed(each[:, None] ^ draws) >> 8).float() * 2.0**-24


def order(seed: int, epoch: int, count: int) -> Tensor:
    """Return the numbers below `count` in a random order."""
    first, second, _ = _keys(seed, epoch, "order")
    return _mixed(_mixed(torch.arange(count) ^ first) ^ second).argsort()  # no ties: mixing is one to one


@functools.lru_cache(maxsize=1024)
def _keys(seed: int, epoch: int, stream: str) -> tuple[int, int, int]:
    digest = hashlib.blake2b(f"{seed} {epoch} {stream}".encode(), digest_size=12).digest()
    return (
        int.from_bytes(digest[:4], "little"),
        int.from_bytes(digest[4:8], "little"),
        int.from_bytes(digest[8:], "little"),
    )


def _mixed(bits: Tensor) -> Tensor:
    """Scramble 32 bits, one to one (a multiply-xorshift hash).

    Both factors are below 2^31, so that no product leaves an int64.
    """
    bits = (bits ^ (bits >> 16)).mul_(0x21F0AAAD).bitwise_and_(_MASK)
    bits = (bits ^ (bits >> 15)).mul_(0x735A2D97).bitwise_and_(_MASK)
    return bits ^ (bits >> 15)
