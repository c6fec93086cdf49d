"""Batch normalization written from its equations, and running statistics that are true averages."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from residua.errors import UserError


class FirstPrinciplesBatchNorm(nn.Module):
    """`gamma * (x - mean) / sqrt(var + eps) + beta` for vectors (N, C) and images (N, C, H, W).

    In training the mean and the biased variance are the batch's, over everything but the channels; in
    evaluation they are the running estimates, whose variance is unbiased. With `momentum=None` the
    estimates are exact averages over all batches seen. The same keys and numbers as PyTorch's own.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.track_running_stats = True
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def reset_parameters(self) -> None:
        """Start as the identity, with the statistics of a standard normal."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)
        self.reset_running_stats()

    def reset_running_stats(self) -> None:
        """Forget all batches."""
        self.running_mean.zero_()
        self.running_var.fill_(1)
        self.num_batches_tracked.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Normalize a batch."""
        if x.dim() not in (2, 4):
            raise ValueError(f"expected a batch of vectors or images, not a tensor of {x.dim()} dimensions")
        kind = x.dtype
        x = x.to(self.weight.dtype)
        mean, var = self.batch_statistics(x) if self.training else (self.running_mean, self.running_var)
        shape = (1, -1) + (1,) * (x.dim() - 2)
        scale = self.weight * (var + self.eps).rsqrt()
        y = (x - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)
        return y.to(kind)

    def batch_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and biased variance of this batch, which also move the running estimates."""
        axes = [0, *range(2, x.dim())]
        count = x.numel() // x.shape[1]
        if count == 1:
            raise ValueError("one value per channel has no variance; train on more than one sample")
        mean = x.mean(axes)
        var = (x - mean.view((1, -1) + (1,) * (x.dim() - 2))).square().mean(axes)
        if self.track_running_stats:
            with torch.no_grad():
                self.num_batches_tracked += 1
                step = 1.0 / self.num_batches_tracked if self.momentum is None else self.momentum
                self.running_mean += step * (mean.detach() - self.running_mean)
                self.running_var += step * (var.detach() * (count / (count - 1)) - self.running_var)
        return mean, var

    def extra_repr(self) -> str:
        """Shown in the printed network."""
        return f"{self.weight.numel()}, eps={self.eps}, momentum={self.momentum}"


BATCH_NORMS = (nn.modules.batchnorm._BatchNorm, FirstPrinciplesBatchNorm)


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace all running statistics by true averages over the given batches, as the released models have.

    Every sample counts the same, also in a smaller last batch. Nothing else of the network changes; if the
    batches end early by an error, the old statistics are kept.
    """
    norms = [module for module in network.modules() if isinstance(module, BATCH_NORMS)]
    modes = {module: module.training for module in network.modules()}
    momenta = [norm.momentum for norm in norms]
    old = [{key: value.clone() for key, value in norm.state_dict().items()} for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    seen = 0
    try:
        for batch in batches:
            if not len(batch):
                continue
            seen += len(batch)
            for norm in norms:
                norm.momentum = len(batch) / seen
            network(batch)
        if not seen:
            raise UserError("recalibrate needs at least one batch with an image in it.")
    except BaseException:
        for norm, state in zip(norms, old, strict=True):
            norm.load_state_dict(state)
        raise
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
