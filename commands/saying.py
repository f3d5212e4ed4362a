"""What is said to a person beside results: on standard error, where there is one."""

import sys


def say(sentence: str) -> None:
    if sys.stderr is not None:
        print(sentence, file=sys.stderr)
