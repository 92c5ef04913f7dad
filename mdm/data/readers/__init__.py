"""Readers: each turns one layout of media on disk into items, piece by piece."""
