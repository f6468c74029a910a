"""What a master says when it is asked: pure functions over its records, which change nothing.

Rules: a view never mutates; it takes `(master, ..., now)` and returns Structs, dicts or an iterator of JSON slices.
Big answers are iterators, so that the shell can write them in bounded slices; they first take a snapshot of the lists they walk.
"""
