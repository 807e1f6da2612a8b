"""The source: which tiles exist, and their pixels, column by column."""
