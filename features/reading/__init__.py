"""Reading datasets: which partitions, with which columns, rows and faults, for whom."""
