"""How the answers of the commands look: text for a person, and the same as JSON."""
