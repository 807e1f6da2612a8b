"""Search the embeddings of a continent on one machine: what is published, kept in a local cache, ranked, and shown."""
