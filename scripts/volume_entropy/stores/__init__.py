"""The Zarr stores of a sample: how a volume is cut, written whole, sealed, verified and read."""
