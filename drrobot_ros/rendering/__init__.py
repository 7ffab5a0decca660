"""Gaussian splatting: one signature, three backends."""
