"""Build the search engine; apart from cli/wiring.py, since `igsearch doctor` must run where memory is short."""

from cli.wiring import cache_folder
from core.index.feature_index import FeatureIndex
from core.index.hash_index import HashIndex
from core.matching.ranking import DHASH_RADIUS, PDQ_RADIUS
from core.search.engine import SearchEngine
from core.storage.store import Store
from core.workers.pool import PhotoWorkers
from core.workers.tasks import VERSIONS


def engine_of(store: Store, reader: PhotoWorkers) -> SearchEngine:
    """Build the search engine."""
    cache = cache_folder()
    hash_index = HashIndex(cache, pdq_radius=PDQ_RADIUS, dhash_radius=DHASH_RADIUS, hashes_version=VERSIONS.hashes)
    feature_index = FeatureIndex(cache, features_version=VERSIONS.features)
    return SearchEngine(reader, store, store.changes, hash_index=hash_index, feature_index=feature_index)
