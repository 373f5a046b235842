"""The demo: a generated world with planted tastes, the whole chain on it, and a report on the lists."""
