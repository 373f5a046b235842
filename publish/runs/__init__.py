"""The life of a run: announced, watched, promoted, retired; the pointer, the lease, the erasures."""
