"""Search the embeddings of a continent on one machine: what is published comes in, ranked chips go out, as rows or as a page.

Its rooms: `vectors`, the local copy; `pictures`, of chips; `web`, the page. Import `explorer.open_explorer`, `search` and `results`.
"""
