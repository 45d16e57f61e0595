"""Runs a keras-rl script of 2019 unchanged, behind the interfaces that it was written for."""
