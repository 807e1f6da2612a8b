"""What a chip looks like: its box comes in, a JPEG from a WMS or from the source's tile goes out.

Import `pictures.Pictures`, which keeps what was fetched; `wms` and `images` are where it asks.
"""
