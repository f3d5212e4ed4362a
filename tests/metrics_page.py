"""The metrics of a service as Prometheus reads them."""

from dataclasses import dataclass

import httpx


@dataclass(frozen=True)
class Page:
    """What a service tells on a port of this machine."""

    port: int

    @property
    def text(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.port}/metrics").raise_for_status().text

    @property
    def samples(self) -> dict[str, float]:
        """The values by their names with all labels, such as `igsearch_files_total{outcome="added"}`."""
        return samples_of(self.text)

    def shows(self, sample: str, value: float) -> bool:
        return self.samples[sample] == value


def samples_of(text: str) -> dict[str, float]:
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}
