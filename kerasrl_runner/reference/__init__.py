"""Deep Q-learning from scratch, NumPy and the standard library only: read it beside the paper.

In this order: network.py, optimizers.py, priorities.py, replay.py, schedule.py, agent.py, loop.py.
Papers are cited as
  Mnih 2015         Human-level control through deep reinforcement learning, Nature 518
  van Hasselt 2016  Deep reinforcement learning with double Q-learning, AAAI
  Wang 2016         Dueling network architectures for deep reinforcement learning, ICML
  Schaul 2016       Prioritized experience replay, ICLR
  Hessel 2018       Rainbow: combining improvements in deep reinforcement learning, AAAI
  Lillicrap 2016    Continuous control with deep reinforcement learning, ICLR
  Kingma 2015       Adam: a method for stochastic optimization, ICLR
Shapes: B batch, W window of observations, A actions, P parameters, I and O a layer's in and out.
"""
