"""The files that Discord keeps, and the signed links under which its CDN serves them."""

import hashlib
import hmac
import io
import re
import secrets
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from PIL import Image

from tests.fakes.discord.calls import Json
from tests.fakes.discord.snowflakes import Snowflakes

LINK_SECONDS = 24 * 3600
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
CDN = "/cdn"
PROXY = "/media"


@dataclass(frozen=True)
class Serving:
    """How the CDN serves a file: at once and whole, unless a test wants otherwise."""

    chunk_seconds: float = 0
    has_length: bool = True
    is_gone: bool = False


AT_ONCE = Serving()


@dataclass(frozen=True)
class Attachment:
    """A file in a message or an option; its size is what Discord says of it, which a test may have made up."""

    id: int
    path: str
    query: str
    filename: str
    title: str | None
    content_type: str | None
    size: int
    data: bytes = field(repr=False)
    server: str = field(repr=False)
    is_ephemeral: bool = False
    description: str | None = None
    serving: Serving = AT_ONCE

    @property
    def url(self) -> str:
        return f"{self.server}{CDN}{self.path}{self.query}"

    @property
    def proxy_url(self) -> str:
        return f"{self.server}{PROXY}{self.path}{self.query}"

    @property
    def raw(self) -> Json:
        raw: Json = {"id": str(self.id), "filename": self.filename, "size": self.size}
        raw |= {"url": self.url, "proxy_url": self.proxy_url}
        raw |= dimensions(self.data, self.content_type)
        words = {"content_type": self.content_type, "title": self.title, "description": self.description}
        raw |= {name: value for name, value in words.items() if value}
        return raw | ({"ephemeral": True} if self.is_ephemeral else {})


@dataclass
class Cdn:
    """All files, never forgotten; `server` is the address under which they are served."""

    new_id: Snowflakes
    server: str = ""
    by_path: dict[str, Attachment] = field(default_factory=dict)
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def keep(
        self,
        data: bytes,
        filename: str,
        content_type: str | None,
        *,
        size: int | None = None,
        folder: str = "attachments",
        link_seconds: float = LINK_SECONDS,
        serving: Serving = AT_ONCE,
    ) -> Attachment:
        """Keep a file under a link that holds for so long; names lose what may not stand in one."""
        file_id = self.new_id()
        name = UNSAFE.sub("_", filename).strip("_") or "unknown"
        path = f"/{folder}/{self.new_id()}/{file_id}/{quote(name)}"
        title = filename.rpartition(".")[0] if name != filename else None
        attachment = Attachment(
            id=file_id,
            path=path,
            query=self._signed(path, link_seconds),
            filename=name,
            title=title,
            content_type=content_type,
            size=len(data) if size is None else size,
            data=data,
            server=self.server,
            is_ephemeral=folder.startswith("ephemeral"),
            serving=serving,
        )
        self.by_path[path] = attachment
        return attachment

    def describe(self, attachment: Attachment, description: str | None) -> Attachment:
        described = replace(attachment, description=description)
        self.by_path[attachment.path] = described
        return described

    def find(self, path: str, query: Mapping[str, str]) -> Attachment | None:
        """Return the file of a link that was signed here and still holds."""
        attachment = self.by_path.get(path)
        signed = self._signature(path, query.get("ex", ""), query.get("is", ""))
        if not attachment or not hmac.compare_digest(signed, query.get("hm", "")):
            return None
        return attachment if int(query["ex"], 16) > time.time() else None

    def _signed(self, path: str, link_seconds: float) -> str:
        now = time.time()
        expires, issued = f"{int(now + link_seconds):x}", f"{int(now):x}"
        return f"?ex={expires}&is={issued}&hm={self._signature(path, expires, issued)}&"

    def _signature(self, path: str, expires: str, issued: str) -> str:
        return hmac.new(self._secret, f"{path} {expires} {issued}".encode(), hashlib.sha256).hexdigest()


def dimensions(data: bytes, content_type: str | None) -> dict[str, int]:
    """Return the width and height of a picture, and nothing for what is none."""
    if not (content_type or "").startswith("image/"):
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width, height = Image.open(io.BytesIO(data)).size
    except (OSError, ValueError, SyntaxError, EOFError, RuntimeError, Image.DecompressionBombError):
        return {}
    return {"width": width, "height": height}
