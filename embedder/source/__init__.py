"""The source: its address comes in; which tiles exist, and the pixels of chips, column by column, go out.

Import `inventory.open_source`, `inventory.list_tiles` and `strip.read_strip`.
"""
