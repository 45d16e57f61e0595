"""What an agent is made of: networks, replay memory, policies, optimizers."""
