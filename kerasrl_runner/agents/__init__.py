"""keras-rl's DQNAgent: its loops corrected, its arithmetic the vendor's or compiled."""
