"""A class run: find submissions, grade them all, keep what is done."""
