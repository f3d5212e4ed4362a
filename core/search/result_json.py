"""Write search results as JSON: one object per query, whose shape is a contract with other programs."""

import json

from core.model.matches import Match, SearchResult
from core.model.records import Checkpoint


def search_json(query: str, result: SearchResult) -> str:
    """Return the JSON of one query image's result."""
    return json.dumps(
        {
            "query": query,
            "verdict": result.verdict,
            "matches": [_match(match) for match in result.matches],
            "similar": [_match(match) for match in result.similar],
            "searched": _scope(result.searched),
            "milliseconds": round(result.milliseconds, 3),
            "error": None,
        }
    )


def error_json(query: str, searched: Checkpoint, error: str) -> str:
    """Return the JSON of a query image that cannot be searched."""
    return json.dumps(
        {
            "query": query,
            "verdict": "error",
            "matches": [],
            "similar": [],
            "searched": _scope(searched),
            "milliseconds": 0.0,
            "error": error,
        }
    )


def _scope(searched: Checkpoint) -> dict[str, int]:
    return {"images": searched.images, "users": searched.users, "revision": searched.revision}


def _match(match: Match) -> dict[str, object]:
    return {
        "username": match.username,
        "confidence": match.confidence,
        "how": list(match.how),
        "images": [{"path": image.path, "confidence": image.confidence} for image in match.images],
    }
