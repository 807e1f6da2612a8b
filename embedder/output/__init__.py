"""What a run leaves behind: its record, the columns' GeoParquet files, the manifest and the coverage picture.

Outcomes and embeddings come in, bytes go out, and the reverse, checked. Import `run`, `column_file`, `coverage`.
"""
