"""Print sentences for a person. Imports nothing heavy: errors of the command line must not wait for OpenCV."""

import sys


def say(sentence: str) -> None:
    """Print a sentence on standard error, if there is one."""
    if sys.stderr is not None:
        print(sentence, file=sys.stderr)
