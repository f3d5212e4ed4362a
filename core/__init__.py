"""What igsearch knows: photos, fingerprints, the index, the store and the search. Imports none of the front ends."""
