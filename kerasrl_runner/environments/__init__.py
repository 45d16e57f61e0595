"""Gymnasium environments as keras-rl's loop needs them."""
