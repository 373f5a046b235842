"""Real servers for one machine: an embedded Kafka broker and a Redis server on loopback ports."""
