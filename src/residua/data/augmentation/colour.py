"""Changes of colour and sharpness on uint8 batches, each picture by its own amount, as Pillow does them.

Pictures are gray or RGB. A factor of 1 leaves a picture as it is, 0 takes all of what the name says.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from residua.nets.transfer import constant

# The principal colours of ImageNet's photos (AlexNet's, as fb.resnet.torch has them), each by its deviation.
PRINCIPAL_COLOURS = (
    (-0.5675 * 0.2175, -0.5808 * 0.2175, -0.5836 * 0.2175),
    (0.7192 * 0.0188, -0.0045 * 0.0188, -0.6948 * 0.0188),
    (0.4009 * 0.0045, -0.8140 * 0.0045, 0.4203 * 0.0045),
)


def keeping_alpha(change: Callable[[Tensor, Tensor], Tensor], pixels: Tensor, amounts: Tensor) -> Tensor:
    """Change all channels but a fourth."""
    changed = change(pixels[:, :3], amounts)
    return changed if pixels.shape[1] <= 3 else torch.cat([changed, pixels[:, 3:]], 1)


def brightness(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with black."""
    return _blended(pixels.new_zeros(()), pixels, factors)


def contrast(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with the picture's mean gray."""
    mean = luminance(pixels).mean((1, 2, 3), keepdim=True)
    return _blended((mean + 0.5).floor_(), pixels, factors)


def saturation(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with the gray picture; gray ones stay."""
    return pixels if pixels.shape[1] == 1 else _blended(luminance(pixels), pixels, factors)


def sharpness(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with a smoothed picture; its border stays."""
    if min(pixels.shape[2:]) < 3:
        return pixels
    exact = pixels.float()
    smooth, inner = exact.clone(), (..., slice(1, -1), slice(1, -1))
    around = F.avg_pool2d(exact, 3, 1, divisor_override=1)
    smooth[inner] = ((around + 4 * exact[inner]) / 13 + 0.5).floor_()
    return _blended(smooth, exact, factors)


def hue(pixels: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue by a share of the circle; gray pictures stay."""
    if pixels.shape[1] == 1:
        return pixels
    exact = pixels.float()
    value, low = exact.amax(1, keepdim=True), exact.amin(1, keepdim=True)
    spread = value - low
    sector = (_sector(exact, value, spread) + 6 * turns[:, None, None, None])[:, 0]
    # Each channel is the value, less the spread for a ramp that depends on the distance from its own sector.
    offsets = constant((5.0, 3.0, 1.0), torch.float32, pixels.device)[:, None, None]
    ramp = (sector[:, None] + offsets) % 6
    ramp = torch.minimum(ramp, 4 - ramp).clamp_(0, 1)
    return (value - spread * ramp).round_().clamp_(0, 255).to(torch.uint8)


def lighting(pixels: Tensor, amounts: Tensor) -> Tensor:
    """Add to each picture its three amounts of the principal colours; gray pictures stay."""
    if pixels.shape[1] == 1:
        return pixels
    colours = 255 * amounts @ constant(PRINCIPAL_COLOURS, torch.float32, pixels.device)
    return (pixels + colours[:, :, None, None]).round_().clamp_(0, 255).to(torch.uint8)


def _sector(exact: Tensor, value: Tensor, spread: Tensor) -> Tensor:
    """Hue as a number from -1 to 5: 0 is red, 2 green, 4 blue."""
    red, green, blue = exact.chunk(3, 1)
    spread = spread.clamp(min=1)  # where it is 0, every difference is
    from_green, from_blue = 2 + (blue - red) / spread, 4 + (red - green) / spread
    return torch.where(
        red == value, (green - blue) / spread, torch.where(green == value, from_green, from_blue)
    )


def solarize(pixels: Tensor, thresholds: Tensor) -> Tensor:
    """Invert every value that is not below the threshold."""
    return torch.where(pixels < thresholds[:, None, None, None], pixels, 255 - pixels)


def posterize(pixels: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits of every value."""
    return pixels & (256 - 2 ** (8 - bits))[:, None, None, None].to(torch.uint8)


def autocontrast(pixels: Tensor) -> Tensor:
    """Stretch each channel until it reaches from 0 to 255."""
    low, high = (edge(pixels, (2, 3), keepdim=True).float() for edge in (torch.amin, torch.amax))
    scale = 255 / (high - low).clamp(min=1)
    stretched = (pixels * scale - low * scale).clamp_(0, 255).to(torch.uint8)
    return torch.where(high > low, stretched, pixels)


def equalize(pixels: Tensor) -> Tensor:
    """Spread each channel's values so that every range holds about as many pixels."""
    rows = pixels.flatten(2).flatten(0, 1).long()  # one for each channel of each picture
    counts = torch.zeros(len(rows), 256, dtype=torch.long, device=pixels.device)
    counts.scatter_add_(1, rows, torch.ones_like(rows))
    largest = rows.amax(1, keepdim=True)
    step = (rows.shape[1] - counts.gather(1, largest)) // 255
    before = counts.cumsum(1) - counts
    table = ((step // 2 + before) // step.clamp(min=1)).clamp_(max=255)
    new = table.gather(1, rows).to(torch.uint8)
    return torch.where(step > 0, new, rows.to(torch.uint8)).view(pixels.shape)


def luminance(pixels: Tensor) -> Tensor:
    """Return the gray picture (count, 1, height, width) as Pillow weighs it: whole numbers, as float."""
    if pixels.shape[1] == 1:
        return pixels.float()
    red, green, blue = pixels.float().chunk(3, 1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 32768) / 65536).floor_()


def _blended(zero: Tensor, pixels: Tensor, factors: Tensor) -> Tensor:
    """Go from `zero` (factor 0) through the pixels (factor 1) and beyond; cut off, as Pillow does."""
    zero = zero.float()
    mixed = zero + (pixels - zero) * factors[:, None, None, None]
    return mixed.clamp_(0, 255).to(torch.uint8)
