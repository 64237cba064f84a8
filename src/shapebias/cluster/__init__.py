"""SLURM clusters: partitions, job submission, the queue, and records of Snakemake sessions."""
