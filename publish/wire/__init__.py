"""What travels and what is stored: announcement, records, encoded lists, keys, digest; no client of anything."""
