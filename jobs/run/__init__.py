"""One run: its command line, folder, manifest, lease and servers, and how an entry opens it."""
