"""A data set for others, made of finished runs: files in spatial order, a STAC catalogue, a data card, sums; and the check of a copy.

It stands beside explore and steps. Pure maths is in `curve`, `layout` and `quantise`; `dataset` drives all this.
"""
