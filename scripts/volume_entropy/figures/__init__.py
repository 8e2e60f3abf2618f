"""Pictures: the QC figure of a sample, its thumbnail, and the figures of scores."""
