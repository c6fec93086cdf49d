"""What a pickle would make, told by its instructions alone: nothing of it is carried out."""

from __future__ import annotations

import pickletools
from typing import IO

import torch

from residua.errors import UserError

LONGEST = 5_000_000  # instructions
MOST = 10_000  # values in one key or argument: a tuple of a tuple twice, and so on, is huge in a few bytes
REBUILT = ("tensor", "tensor_v2", "tensor_v3", "parameter", "sparse_tensor", "qtensor", "nested_tensor")
GLOBALS = {
    *("collections OrderedDict", "collections Counter", "torch Size", "torch device"),
    *("torch.storage UntypedStorage", "torch.serialization _get_layout", "__builtin__ set", "builtins set"),
    *(f"torch._utils _rebuild_{name}" for name in (*REBUILT, "meta_tensor_no_storage")),
}
KINDS = (torch.dtype, torch.layout, torch.qscheme)
JOINING = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "REDUCE", "NEWOBJ", "BINPERSID")
_MARK = -1


def look_through(file: IO[bytes], name: object) -> None:
    """Refuse a pickle that calls what no weights need, or makes more than its size suggests."""
    stack, memo = list[int](), dict[int, int]()
    for count, (instruction, argument, _) in enumerate(pickletools.genops(file)):
        kind = instruction.name
        if count > LONGEST:
            raise UserError(f"{name} is refused: it is nested or sized as no weights are.")
        if kind in ("GLOBAL", "INST", "STACK_GLOBAL") and not _is_known(kind, str(argument)):
            raise UserError(f"{name} is refused: it holds code, and Residua never runs code from a file.")
        if kind in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[int(str(argument))] = stack[-1]
        elif kind in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[int(str(argument))])
        elif kind == "MARK":
            stack.append(_MARK)
        else:
            taken = _taken(stack, instruction)
            made = 1 + taken if kind in JOINING else 1
            if made > MOST:
                raise UserError(f"{name} is refused: it is nested or sized as no weights are.")
            stack += [made] * len(instruction.stack_after)


def _is_known(kind: str, called: str) -> bool:
    module, _, name = called.partition(" ")
    storage_or_kind = name.endswith("Storage") or isinstance(vars(torch).get(name), KINDS)
    return kind == "GLOBAL" and (called in GLOBALS or (module == "torch" and storage_or_kind))


def _taken(stack: list[int], instruction: pickletools.OpcodeInfo) -> int:
    """Take from the stack what an instruction takes, and return of how many values that is."""
    taken = 0
    for what in reversed(instruction.stack_before):
        if what is pickletools.markobject:
            continue  # with the slice behind it
        if what is pickletools.stackslice:
            while (size := stack.pop()) != _MARK:
                taken += size
        else:
            taken += stack.pop()
    return taken
