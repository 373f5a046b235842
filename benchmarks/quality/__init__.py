"""How good the recommendations are, on fixed splits of known data or of one's own."""
