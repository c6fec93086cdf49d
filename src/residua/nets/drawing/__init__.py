"""Draw networks as the papers' Figure 3 does."""

from residua.nets.drawing.painting import draw as draw
