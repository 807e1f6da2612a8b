"""The published embeddings on this machine: column files come in, unit vectors in a LanceDB table and an index go out.

Import `catalogue.published_years`, `ingest.open_database` and what they return.
"""
