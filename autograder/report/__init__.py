"""What came of a grading, as one model, and the ways to show it."""
