"""Maps as files that other programs open: NIfTI and OME-Zarr, each with its provenance."""
