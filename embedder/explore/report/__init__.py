"""What a run's embeddings are worth, in figures: published columns come in, a JSON document and a page with plots go out.

`figures.measure` reads each column once, `page.render` shows what it found, with the plots of `charts`.
"""
