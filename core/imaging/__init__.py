"""Read untrusted pictures into upright pixels, and draw pictures from pixels."""
