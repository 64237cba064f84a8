"""SLURM clusters: partitions, submission, the queue, and records of who submitted."""
