"""The floors of the weekly job: what its stages cannot avoid, by the quickest tools, on the data of a run.

Necessary reading, one shuffle, arithmetic, on two cores; nothing is checked, recorded, judged or started.
"""
