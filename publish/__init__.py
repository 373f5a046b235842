"""From a snapshot of lists to the online store and back: Kafka, Redis, verify, promote, read."""
