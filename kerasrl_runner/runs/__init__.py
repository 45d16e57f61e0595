"""One run: training, evaluation, testing, and what is logged of them."""
