"""The search engine, put together: index snapshots are in the cache folder of the user."""

from platformdirs import user_cache_path

from core.fingerprinting import VERSIONS
from core.index.deep_index import DeepIndex
from core.index.photo_index import PhotoIndex
from core.ranking import DHASH_RADIUS, PDQ_RADIUS
from core.search import SearchEngine
from core.storage.store import Store
from core.workers import PhotoWorkers


def engine_of(store: Store, reader: PhotoWorkers) -> SearchEngine:
    cache = user_cache_path("igsearch")
    index = PhotoIndex(cache, pdq_radius=PDQ_RADIUS, dhash_radius=DHASH_RADIUS, light_version=VERSIONS.light)
    return SearchEngine(reader, store, index, DeepIndex(cache, deep_version=VERSIONS.deep))
