"""An existing keras-rl script, with nothing changed but its imports (D1, D2)."""

from __future__ import annotations

from pathlib import Path

from commands import python

SCRIPT = """
import tensorflow as tf
import gymnasium as gym
import numpy as np

from kerasrl_runner.keras_rl import BoltzmannQPolicy, DQNAgent, SequentialMemory, keras

Activation, Dense, Flatten = keras.layers.Activation, keras.layers.Dense, keras.layers.Flatten
Adam = keras.optimizers.Adam

ENV_NAME = 'CartPole-v1'

# Get the environment and extract the number of actions.
env = gym.make(ENV_NAME)
np.random.seed(123)
nb_actions = env.action_space.n

# Next, we build a very simple model.
model = keras.Sequential()
model.add(Flatten(input_shape=(1,) + env.observation_space.shape))
model.add(Dense(16))
model.add(Activation('relu'))
model.add(Dense(nb_actions))
model.add(Activation('linear'))
print(model.summary())

# Finally, we configure and compile our agent.
memory = SequentialMemory(limit=50000, window_length=1)
policy = BoltzmannQPolicy()
dqn = DQNAgent(model=model, nb_actions=nb_actions, memory=memory, nb_steps_warmup=10,
               target_model_update=1e-2, policy=policy)
dqn.compile(Adam(learning_rate=1e-3), metrics=['mae'])

dqn.fit(env, nb_steps=150, visualize=False, verbose=2)

# After training is done, we save the final weights.
dqn.save_weights(f'dqn_{ENV_NAME}_weights.h5', overwrite=True)

# Finally, evaluate our algorithm for 5 episodes.
dqn.test(env, nb_episodes=5, visualize=False)
print("eager", tf.executing_eagerly(), hasattr(model(np.ones((1, 1, 4), np.float32)), "numpy"))
"""


def test_D1_D2_an_existing_script_trains_saves_and_tests_and_eager_execution_stays_on(
    tmp_path: Path,
) -> None:
    # The second time it writes over its own file, where the vendor would ask.
    printed = python(SCRIPT + SCRIPT, tmp_path, TF_USE_LEGACY_KERAS="1")
    for line in (
        "Training for 150 steps ...",
        "done, took",
        "Testing for 5 episodes",
        "Episode 5: reward:",
        "eager True True",
    ):
        assert printed.count(line) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["dqn_CartPole-v1_weights.h5"]


OTHERS = """
import kerasrl_runner.keras_rl
from kerasrl_runner.keras_rl import (
    Agent, BoltzmannGumbelQPolicy, BoltzmannQPolicy, Callback, CallbackList, DQNAgent, Env,
    EpisodeParameterMemory, EpsGreedyQPolicy, FileLogger, GreedyQPolicy, LinearAnnealedPolicy,
    MaxBoltzmannQPolicy, Memory, ModelIntervalCheckpoint, MultiInputProcessor, Policy, Processor,
    SequentialMemory, SoftmaxPolicy, TestLogger, TrainEpisodeLogger, TrainIntervalLogger,
    VendorDQNAgent, Visualizer, WhiteningNormalizer, WhiteningNormalizerProcessor, clone_model,
    clone_optimizer, get_object_config, huber_loss, keras, sample_batch_indexes,
)
from rl.agents import CEMAgent, DDPGAgent, NAFAgent, SARSAAgent

class OldGym:
    step = lambda self, action: ([1.0], float(action), False, {})
    reset = lambda self: [1.0]

model = keras.Sequential([keras.layers.Flatten(input_shape=(1, 1)), keras.layers.Dense(2)])
sarsa = SARSAAgent(model, nb_actions=2, nb_steps_warmup=5, policy=BoltzmannQPolicy())
sarsa.compile(keras.optimizers.Adam(learning_rate=0.1))
before = model.get_weights()[0].copy()
sarsa.fit(OldGym(), 20, verbose=0, nb_max_episode_steps=5)
print("SARSA learned", (model.get_weights()[0] != before).any())

import tensorflow as tf
tf.compat.v1.disable_eager_execution()
model = keras.Sequential([keras.layers.Flatten(input_shape=(1, 1)), keras.layers.Dense(2)])
memory = EpisodeParameterMemory(limit=100, window_length=1)
cem = CEMAgent(model=model, nb_actions=2, memory=memory, batch_size=5, nb_steps_warmup=10,
               train_interval=5)
cem.compile()
before = cem.theta.copy()
cem.fit(OldGym(), 100, verbose=0, nb_max_episode_steps=5)
print("CEM learned", (cem.theta != before).any())
"""


def test_what_is_not_mended_is_imported_from_rl_after_the_door(tmp_path: Path) -> None:
    printed = python(OTHERS, tmp_path)
    assert "SARSA learned True" in printed
    assert "CEM learned True" in printed


WINDOW = """
import kerasrl_runner.keras_rl
import pygame
pygame.display.init()
pygame.display.set_mode((64, 64)).fill((9, 9, 9))
pygame.display.flip()
print("drawn")
"""


def test_a_script_s_own_window_does_not_end_the_process(tmp_path: Path) -> None:
    assert python(WINDOW, tmp_path).endswith("drawn\n")  # SIGSEGV without its preparation
