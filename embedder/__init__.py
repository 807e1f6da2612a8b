"""Clay embeddings of the ESA WorldCover Sentinel-2 composites: the steps that run in each pod and on a laptop."""

__version__ = "0.1.0"
