"""The core: photos, fingerprints, the index, the store and the search. It imports none of the front ends."""
