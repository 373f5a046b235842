"""Interactions → factors: trainers, their matrix, memory, starts and learning curve."""
