"""Charts as plain figures: axes with round ticks, and lines in the coordinates of a drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from residua.data.pages import round_step
from residua.judging.figures.calibration import Bin
from residua.judging.reporting.records import Line, Records

WIDTH, HEIGHT = 330, 190  # of the plotted area
TICKS = 5
DOTTED = 40  # points that are still drawn as dots too
POINTS = 400  # of a line: more could not be told apart
STEEP = 30  # how many times the least the greatest must be for a logarithmic axis
SIDE = 300  # of the reliability diagram's square
LARGEST = 13  # radius of the fullest bin's dot

Pairs = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Tick:
    """A number beside an axis, and where it stands."""

    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """From values to places along a side of the drawing."""

    low: float
    high: float
    length: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return where a value stands."""
        if self.log:
            return self.length * math.log(value / self.low) / math.log(self.high / self.low)
        return self.length * (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[Tick]:
        """Round numbers along the axis."""
        values = _decades(self.low, self.high) if self.log else _rounds(self.low, self.high)
        every = -(-len(values) // (2 * TICKS))
        return [Tick(self.at(value), _label(value)) for value in values[::every]]


@dataclass(frozen=True)
class Curve:
    """One line: its name, its points as SVG writes them, and its ends in words."""

    name: str
    points: str
    dots: tuple[tuple[float, float], ...]
    ends: str


@dataclass(frozen=True)
class Chart:
    """Lines over the passes, with their axes."""

    title: str
    across: Axis
    up: Axis
    curves: tuple[Curve, ...]

    @property
    def words(self) -> str:
        """Say what the lines do, for who cannot see them."""
        return "; ".join(f"{curve.name} {curve.ends}" for curve in self.curves)


@dataclass(frozen=True)
class Dot:
    """Pictures of about one probability: where they stand, and where if the probability were true."""

    count: int
    confidence: float
    accuracy: float
    x: float
    y: float
    radius: float
    ideal: float

    @property
    def words(self) -> str:
        """Say it for who cannot see it."""
        return f"{self.count:,} pictures: it says {self.confidence:.1%}, {self.accuracy:.1%} are right"


PERCENTS = tuple(Tick(SIDE * percent / 100, str(percent)) for percent in range(0, 101, 20))


def reliability(bins: Sequence[Bin]) -> list[Dot]:
    """Return a dot for each bin: how often the network is right, beside how often it says that it is."""
    most = max((each.count for each in bins), default=1)
    return [
        Dot(
            count=each.count,
            confidence=each.confidence,
            accuracy=each.accuracy,
            x=SIDE * each.confidence,
            y=SIDE * (1 - each.accuracy),
            radius=3 + (LARGEST - 3) * math.sqrt(each.count / most),
            ideal=SIDE * (1 - each.confidence),
        )
        for each in bins
        if each.count and each.confidence is not None and each.accuracy is not None
    ]


def training_charts(run: Records) -> list[Chart]:
    """Draw how a training went; what was never measured has no chart."""

    def of(name: str, lines: Sequence[Line] = run.passes) -> list[tuple[float, float]]:
        return [(_passed(line, run), value) for line in lines if (value := line[name]) is not None]

    every = [
        _chart("Loss", {"training": of("train_loss"), "held out": of("val_loss")}),
        _chart("Accuracy on held-out pictures, %", {"top-1": of("val_top1"), "top-5": of("val_top5")}),
        _chart("Learning rate", {"learning rate": of("lr", run.lines)}, zero=True),
        _chart("Training pictures a second", {"pictures a second": of("images_per_second")}, zero=True),
    ]
    return [chart for chart in every if chart]


def _passed(line: Line, run: Records) -> float:
    """Return how many passes were over at a line."""
    return (line["step"] or 0) / run.epoch_steps if run.epoch_steps else line["epoch"] or 0


def _chart(title: str, lines: dict[str, list[tuple[float, float]]], zero: bool = False) -> Chart | None:
    lines = {name: _thinned(pairs) for name, pairs in lines.items() if pairs}
    if not lines:
        return None
    every = [pair for pairs in lines.values() for pair in pairs]
    across = Axis(0, max(1, *(x for x, _ in every)), WIDTH)
    up = _axis([y for _, y in every], zero)
    return Chart(title, across, up, tuple(_curve(name, pairs, across, up) for name, pairs in lines.items()))


def _axis(values: Sequence[float], zero: bool) -> Axis:
    """Choose an axis that holds all values, with room to spare, and is logarithmic where they are steep."""
    low, high = min(values), max(values)
    if not zero and low > 0 and high > STEEP * low:
        return Axis(low / 1.25, high * 1.25, HEIGHT, log=True)
    if zero:
        low = min(0.0, low)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    rounds = round_step(high - low, TICKS)
    return Axis(math.floor(low / rounds) * rounds, math.ceil(high / rounds) * rounds, HEIGHT)


def _curve(name: str, pairs: Pairs, across: Axis, up: Axis) -> Curve:
    places = [(across.at(x), HEIGHT - up.at(y)) for x, y in pairs]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    ends = f"from {pairs[0][1]:,.4g} to {pairs[-1][1]:,.4g}" if len(pairs) > 1 else f"{pairs[0][1]:,.4g}"
    return Curve(name, points, tuple(places) if len(places) <= DOTTED else (), ends)


def _thinned(pairs: Pairs) -> list[tuple[float, float]]:
    """Keep so many points at most, evenly, and the last."""
    every = -(-len(pairs) // POINTS)
    return [*pairs[:-1:every], pairs[-1]]


def _rounds(low: float, high: float) -> list[float]:
    step = round_step(high - low, TICKS)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.10g}") for number in range(first, last + 1)]


def _label(value: float) -> str:
    """Write a number as short as it can be told from its neighbours."""
    if abs(value) < 1e6:
        return f"{value:,.10g}"
    digits, power = f"{value:.2e}".split("e")
    return f"{float(digits):g}e{int(power)}"


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten, and where these are few the numbers between."""
    factors = (1, 2, 5) if high < 200 * low else (1, 3) if high < 1e4 * low else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [float(f"{factor * 10.0**power:.10g}") for power in powers for factor in factors]
    return [value for value in every if low <= value <= high]
