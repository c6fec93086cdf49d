"""All figures of an experiment: those of which there is something to draw."""

from __future__ import annotations

from residua.lab.reporting import curves, errors, inner
from residua.lab.reporting.drawing import Drawing
from residua.lab.reporting.records import Record
from residua.lab.reporting.throughout import gradients_throughout


def drawings(record: Record) -> list[Drawing]:
    """Return every figure that the results have something for: what is the experiment's own comes first."""
    every = (
        inner.responses(record),
        inner.gradients(record, "initial"),
        inner.gradients(record, "final"),
        curves.ratios(record),
        gradients_throughout(record),
        inner.lesions(record),
        inner.paths(record),
        errors.statistics(record),
        errors.errors(record),
        curves.curves(record),
    )
    return [each for each in every if each]
