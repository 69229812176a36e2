"""Real programs and real data on mounted drives."""
