"""The report page: one HTML file and a folder of scripts beside it, from the tables alone."""
