"""Folders and tables behind one storage interface; nothing else reads or writes them."""
