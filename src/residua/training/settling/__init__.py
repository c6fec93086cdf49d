"""From what was asked for to settings: chosen from the pictures, measured on the machine."""
