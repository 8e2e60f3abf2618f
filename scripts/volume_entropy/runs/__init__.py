"""What Snakemake's main process does around the jobs: checks before, progress, clusters, the end."""
