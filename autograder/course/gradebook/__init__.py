"""nbgrader: courses made ready for it, and grades recorded by it. Student code never runs in nbgrader's process."""
