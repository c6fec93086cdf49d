"""The lab: the papers' claims as experiments, and what happens inside their networks."""

from pathlib import Path

LAB = Path("runs", "lab")  # where experiments are run, if nobody says otherwise
TRIALS = "trials"  # the folder in it of all trials, beside those of the experiments
