"""Snowflakes: the ids of everything on Discord, which tell when it was made."""

import time
from itertools import count

EPOCH_MILLISECONDS = 1_420_070_400_000
LOW_BITS = 22


class Snowflakes:
    """Ids that grow, each used once."""

    def __init__(self) -> None:
        self._numbers = count()

    def __call__(self) -> int:
        age = int(time.time() * 1000) - EPOCH_MILLISECONDS
        return age << LOW_BITS | next(self._numbers) & ((1 << LOW_BITS) - 1)


def is_snowflake(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20
