"""Pages about experiments, made of what lies in the lab's folder."""
