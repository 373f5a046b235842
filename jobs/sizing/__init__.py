"""What a whole run takes on a cluster: constants measured on one machine, and how each stage grows."""
