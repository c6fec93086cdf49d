"""Tensors on a device, and what is brought there once."""

import torch

from residua.nets.transfer import constant, onto

CPU = torch.device("cpu")


def test_what_is_there_already_stays() -> None:
    tensor = torch.arange(3)
    assert onto(tensor, CPU) is tensor


def test_constants_are_made_once_and_for_every_mode() -> None:
    with torch.inference_mode(), torch.device("meta"):
        made = constant((1.5, 2.5), torch.float32, CPU)
    assert made.tolist() == [1.5, 2.5] and constant((1.5, 2.5), torch.float32, CPU) is made
    weight = torch.ones(2, requires_grad=True)
    torch.autograd.backward((weight * made).sum())
    assert weight.grad is not None and weight.grad.equal(made)
