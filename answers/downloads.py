"""Download query images into memory, with limits on size and time, and retry when the connection fails."""

import asyncio

import httpx
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential

from core.imaging.files import MAX_BYTES, too_many_bytes

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.25
ANSWER_SECONDS, WHOLE_SECONDS = 30.0, 60.0
CONNECTIONS = 32


class DownloadFailed(Exception):
    """A file could not be downloaded; the message names no address, which may hold a token."""


class Downloads:
    """An HTTP client for files; close it when done."""

    def __init__(self) -> None:
        limits = httpx.Limits(max_connections=CONNECTIONS)
        timeout = httpx.Timeout(ANSWER_SECONDS, pool=None)
        self._client = httpx.AsyncClient(limits=limits, timeout=timeout, follow_redirects=False)

    async def fetch(self, url: str, *, most: int = MAX_BYTES) -> bytes:
        """Download a file of at most `most` bytes; raises DownloadFailed, or TooLarge as soon as it is larger."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(FIRST_PAUSE_SECONDS),
            reraise=True,
        )
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                return await retrying(self._fetch_once, url, most)
        except TimeoutError as error:
            raise DownloadFailed(f"not complete after {WHOLE_SECONDS:g} s") from error
        except httpx.HTTPStatusError as error:
            raise DownloadFailed(f"answered with {error.response.status_code}") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DownloadFailed(type(error).__name__) from None

    async def close(self) -> None:
        await self._client.aclose()

    async def _fetch_once(self, url: str, most: int) -> bytes:
        parts, size = [], 0
        async with self._client.stream("GET", url) as answer:
            answer.raise_for_status()
            async for part in answer.aiter_bytes():
                parts.append(part)
                size += len(part)
                if size > most:
                    raise too_many_bytes(size)
        return b"".join(parts)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error or error.response.status_code == httpx.codes.TOO_MANY_REQUESTS
    return isinstance(error, httpx.TransportError)
