"""A real Kafka broker and a real Redis server on loopback, and the processes that keep them."""
