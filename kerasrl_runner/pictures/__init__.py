"""Pictures and videos, from frames and paths alone."""
