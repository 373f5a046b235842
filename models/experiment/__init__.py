"""The arithmetic of experiments on sums of users: effects, bounds for weekly looks, mismatch, plan and ramp; no I/O.

A new experiment has a new salt, its unit are the users of the audience before each week (intention to treat).
docs/experiments.md explains every formula and shows how it was measured.
"""
