"""A DQN update as one XLA program, and acting beside it."""
