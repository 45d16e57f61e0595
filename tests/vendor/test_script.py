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
