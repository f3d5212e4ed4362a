"""From candidates to matches: geometry, the dense check, confidence, ranking."""
