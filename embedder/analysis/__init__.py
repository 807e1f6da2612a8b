"""What the embeddings of a run say together: vectors, chips and classes come in, figures go out; nothing is read or written here.

`spectrum` and `spread` describe the vectors, `neighbours` chips beside each other, `blocks` splits space into parts that do not leak,
`classify` learns classes from vectors, `scores` says how well, with intervals.
"""
