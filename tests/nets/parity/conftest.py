"""Settings that the other libraries read while they are imported, so they must be set before."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "torch"
os.environ["HF_HUB_OFFLINE"] = "1"
