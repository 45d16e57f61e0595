"""keras-rl's DQNAgent made safe."""
