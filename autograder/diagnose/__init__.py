"""From a wrong answer to the misconception behind it: a name only where it is earned."""
