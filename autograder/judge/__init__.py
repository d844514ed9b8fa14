"""From calls of a student's functions to verdicts."""
