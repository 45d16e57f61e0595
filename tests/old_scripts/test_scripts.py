"""Old scripts, unchanged, by the real command: they show the habits of those that people wrote."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import finish, run, run_many, start

from kerasrl_runner import keras_rl
from kerasrl_runner.keras_rl import SequentialMemory, keras
from kerasrl_runner.old_scripts import agents, gym

CLASSIC = """\
import sys

import gym
import numpy as np
from keras import backend as K
from keras.models import Sequential
from keras.layers.core import Dense, Activation, Flatten
from keras.optimizers import Adam
from tensorflow.python.framework.ops import disable_eager_execution

from rl.agents.dqn import DQNAgent
from rl.callbacks import FileLogger, ModelIntervalCheckpoint
from rl.memory import SequentialMemory
from rl.policy import EpsGreedyQPolicy

disable_eager_execution()
ENV_NAME = 'CartPole-v0'


def build(nb_actions, shape):
    model = Sequential()
    model.add(Flatten(input_shape=(1,) + shape))
    model.add(Dense(16))
    model.add(Activation('relu'))
    model.add(Dense(nb_actions, activation='linear'))
    return model


if __name__ == '__main__':
    env = gym.make(ENV_NAME)
    np.random.seed(123)
    env.seed(123)
    model = build(env.action_space.n, env.observation_space.shape)
    policy = EpsGreedyQPolicy(eps=np.float(.2))
    dqn = DQNAgent(model=model, nb_actions=env.action_space.n, policy=policy,
                   memory=SequentialMemory(limit=5000, window_length=1), nb_steps_warmup=10,
                   target_model_update=1e-2)
    dqn.compile(Adam(lr=1e-2), metrics=['mae'])
    callbacks = [ModelIntervalCheckpoint('dqn_{step}.h5f', interval=100), FileLogger('log.json')]
    dqn.fit(env, nb_steps=int(sys.argv[1]), callbacks=callbacks, visualize=True, verbose=2)
    dqn.save_weights('dqn_{}_weights.h5f'.format(ENV_NAME), overwrite=True)
    dqn.load_weights('dqn_{}_weights.h5f'.format(ENV_NAME))
    dqn.test(env, nb_episodes=2, visualize=True)
    print('rate %.4f' % K.get_value(dqn.optimizer.lr), __file__, sys.argv, K.image_dim_ordering())
"""

WORLD = """\
import gym
from gym import spaces
import numpy as np
from gym.envs.registration import register


class Corridor(gym.Env):
    metadata = {'render.modes': ['human']}

    def __init__(self):
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Box(low=0, high=9, shape=(1,), dtype=np.float32)

    def reset(self):
        self.place = 0
        return np.array([0.], np.float32)

    def step(self, action):
        self.place += 1
        return np.array([self.place], np.float32), 1., False, {'legal': [0], 'place': self.place}

    def render(self, mode='human', close=False):
        print('drawn', self.place)


register(id='Corridor-v0', entry_point='world:Corridor', max_episode_steps=5)
"""

OWN_WORLD = """\
import pickle
import gym
import tensorflow as tf
import world
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Dense, Flatten
from tensorflow.keras.optimizers import Adam
from rl.agents import DQNAgent
from rl.core import Processor
from rl.memory import SequentialMemory
from rl.policy import EpsGreedyQPolicy


class Legal(Processor):
    legal = None

    def process_info(self, info):
        self.legal = info['legal']
        return info


class LegalPolicy(EpsGreedyQPolicy):
    def select_action(self, q_values):
        q_values[[a for a in range(2) if a not in (processor.legal or [0])]] = -1e9
        return int(q_values.argsort()[-1])


env = gym.make('Corridor-v0')
processor = Legal()
model = Sequential([Flatten(input_shape=(1, 1)), Dense(2)])
dqn = DQNAgent(model, LegalPolicy(), nb_actions=2, memory=SequentialMemory(50, window_length=1),
               nb_steps_warmup=8, processor=processor)
dqn.compile(Adam(lr=1e-3))
history = dqn.fit(env, nb_steps=20, verbose=0)
print(history.history['episode_reward'], 'terminals', sum(map(bool, dqn.memory.terminals)))
print('actions', set(map(int, dqn.memory.actions)))
dqn.test(env, nb_episodes=1)
pickle.dump(dqn.memory, open('memory.p', 'wb'))
print('threads', tf.config.threading.get_intra_op_parallelism_threads())
"""


def script(folder: Path, *arguments: object, timeout: float = 120, **environment: str):
    return run("script", *arguments, folder=folder, timeout=timeout, **environment)


def test_a_classic_script_trains_saves_loads_and_tests(tmp_path):
    path = tmp_path / "old" / "classic.py"
    path.parent.mkdir()
    path.write_text(CLASSIC, encoding="utf-8")
    # People run examples in a checkout of keras-rl, whose own copy does not start any more.
    agents_folder = path.parent / "rl" / "agents"
    agents_folder.mkdir(parents=True)
    (agents_folder / "__init__.py").write_text("from .sarsa import SARSAAgent\n")
    (path.parent / "rl" / "__init__.py").write_text("raise SystemExit('the copy beside')\n")
    done = script(tmp_path, "old/classic.py", "250")
    assert done.code == 0, done.stderr
    assert "Training for 250 steps ..." in done.stdout
    assert "Episode 2: reward: " in done.stdout
    assert done.stdout.splitlines()[-1] == "rate 0.0100 old/classic.py ['old/classic.py', '250'] tf"
    # One line a shim that it needs, and no more of them.
    said = done.stderr.splitlines()
    for line in (
        "rl -> kerasrl_runner.keras_rl, corrected and compiled",
        "lr= -> learning_rate=",
        "disable_eager_execution() -> ignored",
        "CartPole-v0 -> gymnasium.make('CartPole-v1', max_episode_steps=200)",
        "There is no display, so render() shows nothing.",
    ):
        assert said.count(line) == 1, done.stderr
    assert not any("Monitor" in line for line in said)
    assert not any("SARSA" in line for line in said)
    names = {entry.name for entry in tmp_path.iterdir()} - {"old", "runs"}
    weights = {"dqn_100.h5f", "dqn_200.h5f", "dqn_CartPole-v0_weights.h5f"}
    assert names == {*weights, "log.json"}
    for name in weights:
        with h5py.File(tmp_path / name) as file:
            assert "model_weights" in file


def test_a_script_s_own_environment_processor_and_policy(tmp_path):
    (tmp_path / "world.py").write_text(WORLD, encoding="utf-8")
    (tmp_path / "own.py").write_text(OWN_WORLD, encoding="utf-8")
    done = script(tmp_path, "own.py")
    assert done.code == 0, done.stderr
    # Four episodes of five steps, each cut by the time limit, which is no terminal state.
    assert "[5.0, 5.0, 5.0, 5.0] terminals 0" in done.stdout
    assert "actions {0}" in done.stdout
    assert "drawn 5" in done.stdout  # keras-rl's test shows it
    assert (tmp_path / "memory.p").exists()
    assert done.stdout.endswith("threads 1\n")


OTHERS = """\
import gym
import numpy as np
import keras
from keras.engine.topology import Layer
from keras.layers import Dense, Flatten, CuDNNLSTM
from keras.layers.normalization import BatchNormalization
from keras.models import Sequential
from keras.optimizers import Adam
from keras.utils.np_utils import to_categorical
from keras.utils import np_utils
from keras import objectives
from tensorflow.python.keras.layers import Dense as PrivateDense
import collections
import tensorflow as tf
import time
from rl.agents import DQNAgent, SARSAAgent, CEMAgent
from rl.memory import EpisodeParameterMemory, SequentialMemory
from rl.policy import BoltzmannQPolicy

tf.set_random_seed(1)
gym.logger.set_level(40)
assert PrivateDense is Dense and objectives.mse is keras.losses.mse
assert np_utils.to_categorical is to_categorical and keras.layers.core.Dense is Dense
assert isinstance({}, collections.Mapping) and time.clock() > 0
assert 'CartPole-v1' in gym.envs.registration.registry.env_specs
keras.backend.set_session(tf.Session(config=tf.ConfigProto()))


class Scaled(gym.ObservationWrapper):
    def observation(self, observation):
        return observation / 2


def head():
    return Sequential([Flatten(input_shape=(1, 4)), Dense(4, activation='relu'), Dense(2)])


env = gym.make('CartPole-v1')
sarsa = SARSAAgent(model=head(), nb_actions=2, nb_steps_warmup=10, policy=BoltzmannQPolicy())
sarsa.compile(Adam(lr=1e-3), metrics=['mae'])
sarsa.fit(env, nb_steps=100, verbose=0)
cem = CEMAgent(model=head(), nb_actions=2, memory=EpisodeParameterMemory(limit=50, window_length=1),
               batch_size=5, nb_steps_warmup=50, train_interval=5, elite_frac=0.2)
cem.compile()
cem.fit(env, nb_steps=200, verbose=0)
dqn = DQNAgent(head(), nb_actions=2, memory=SequentialMemory(100, window_length=1),
               nb_steps_warmup=10, policy=BoltzmannQPolicy())
dqn.compile(Adam(lr=1e-3))
dqn.fit(Scaled(env), nb_steps=60, verbose=0)
print(to_categorical([1], 2), type(dqn).__name__, 'done')
"""


def test_module_names_of_keras_2_and_the_vendor_s_other_agents(tmp_path):
    (tmp_path / "others.py").write_text(OTHERS, encoding="utf-8")
    done = script(tmp_path, "others.py")
    assert done.code == 0, done.stderr
    assert "[[0. 1.]] VendorDQNAgent done" in done.stdout
    assert "which this project does not correct" in done.stderr
    assert "TensorFlow 1's names -> tensorflow.compat.v1" in done.stderr
    assert "DQNAgent -> keras-rl's own update, since the script's other agents" in done.stderr


class Endless(gym.Env):
    def reset(self):
        return np.zeros(4, np.float32)

    def step(self, action):
        return np.zeros(4, np.float32), 1.0, False, {}


class OwnDraw(SequentialMemory):
    drawn = 0

    def sample(self, batch_size, batch_idxs=None):
        self.drawn += 1
        return super().sample(batch_size, batch_idxs)


def test_a_memory_that_draws_in_its_own_way_is_asked():
    model = keras.Sequential([keras.layers.Flatten(input_shape=(1, 4)), keras.layers.Dense(2)])
    memory = OwnDraw(500)
    agent = agents.DQNAgent(model, nb_actions=2, memory=memory, nb_steps_warmup=10, batch_size=4)
    agent.compile("adam")
    agent.fit(Endless(), 15, verbose=0)
    assert memory.drawn == 6
    with pytest.raises(ValueError, match="draws its samples"):
        keras_rl.DQNAgent(model, nb_actions=2, memory=memory)


def test_a_model_that_the_compiled_update_refuses_gets_the_vendor_s(capsys):
    layers = keras.layers
    left, right = layers.Input((1, 2)), layers.Input((1, 2))
    merged = layers.Concatenate()([layers.Flatten()(left), layers.Flatten()(right)])
    model = keras.Model([left, right], layers.Dense(2)(merged))
    agent = agents.DQNAgent(model, nb_actions=2, memory=SequentialMemory(1000))
    assert isinstance(agent, keras_rl.VendorDQNAgent)
    assert "keras-rl's own update, since the compiled engine takes one input" in (
        capsys.readouterr().err
    )


DDPG = """\
import gym
from keras.layers import Activation, Concatenate, Dense, Flatten, Input
from keras.models import Model, Sequential
from keras.optimizers import Adam
from rl.agents import DDPGAgent
from rl.memory import SequentialMemory
from rl.random import OrnsteinUhlenbeckProcess

env = gym.make('Pendulum-v0')
actor = Sequential([Flatten(input_shape=(1, 3)), Dense(4, activation='relu'), Dense(1)])
action, state = Input((1,)), Input((1, 3))
critic = Model([action, state], Dense(1)(Concatenate()([action, Flatten()(state)])))
agent = DDPGAgent(nb_actions=1, actor=actor, critic=critic, critic_action_input=action,
                  memory=SequentialMemory(limit=500, window_length=1), nb_steps_warmup_critic=20,
                  nb_steps_warmup_actor=20, target_model_update=1e-3,
                  random_process=OrnsteinUhlenbeckProcess(size=1, theta=.15, mu=0., sigma=.3))
agent.compile(Adam(lr=.001, clipnorm=1.), metrics=['mae'])
agent.fit(env, nb_steps=60, verbose=0, nb_max_episode_steps=20)
print('done')
"""


def test_an_agent_of_graph_mode_is_the_vendor_s(tmp_path):
    (tmp_path / "ddpg.py").write_text(DDPG, encoding="utf-8")
    done = script(tmp_path, "ddpg.py")
    assert done.code == 0, done.stderr
    assert done.stdout.endswith("done\n")
    assert "Pendulum-v0 -> gymnasium.make('Pendulum-v1')" in done.stderr


BROKEN = """\
import gym


class World(gym.Env):
    def reset(self):
        return [0.0]

    def step(self, action):
        return self.table[action]


def train():
    from rl.agents import DQNAgent
    from rl.memory import SequentialMemory
    from keras.models import Sequential
    from keras.layers import Dense, Flatten
    model = Sequential([Flatten(input_shape=(1, 1)), Dense(2)])
    dqn = DQNAgent(model, nb_actions=2, memory=SequentialMemory(9999, window_length=1))
    dqn.compile('adam')
    dqn.fit(World(), nb_steps=5, verbose=0)


train()
"""
TRACEBACK = """\
  File "broken.py", line 9, in step
    return self.table[action]
           ^^^^^^^^^^
AttributeError: 'World' object has no attribute 'table'
"""


def test_what_fails_in_the_script_is_its_own_traceback(tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN, encoding="utf-8")
    done = script(tmp_path, "broken.py")
    assert done.code == 1
    assert done.stderr.endswith(TRACEBACK), done.stderr
    assert done.stderr.count('  File "broken.py", line') == 3
    assert "kerasrl_runner/" not in done.stderr


# As environments end when somebody closes their window.
CLOSED = """\
import sys
import gym
from keras.layers import Dense, Flatten
from keras.models import Sequential
from keras.optimizers import adam
from rl.agents import DQNAgent, SARSAAgent
from rl.memory import SequentialMemory


class World(gym.Env):
    def reset(self):
        return (0, 1)

    def step(self, action):
        sys.exit()


model = Sequential([Flatten(input_shape=(1, 2)), Dense(2)])
dqn = DQNAgent(model, nb_actions=2, memory=SequentialMemory(99, window_length=1))
dqn.compile(adam(lr=1e-3, beta_1=0.9, beta_2=0.999, epsilon=None, decay=0.0))
dqn.fit(World(), nb_steps=5, verbose=0)
"""
CANNOT_RUN = [
    ("import sys\nsys.exit(3)\n", 3, ""),
    ("print 'hello'\n", 2, "1.py: expected a script in Python 3"),
    (CLOSED, 0, ""),
    ("import gym\ngym.make('Vanished-v0')\n", 1, "Vanished"),
    ("import h5py.stats\n", 1, "installed h5py has no h5py.stats"),
    ("import numpy as np\nnp.array([[1], [1, 2]])\n", 1, "np.array(…, dtype=object)"),
    ("import tensorflow as tf\ntf.contrib.learn\n", 1, "of TensorFlow 1"),
    ("from keras.layers import Dense\nDense(output_dim=3)\n", 1, "written for Keras 1"),
    ("import gym_that_nobody_has\n", 1, "pip install gym_that_nobody_has"),
]


def test_scripts_that_cannot_run(tmp_path):
    for number, (text, *_) in enumerate(CANNOT_RUN):
        (tmp_path / f"{number}.py").write_text(text, encoding="utf-8")
    jobs = [{"arguments": ["script", f"{number}.py"]} for number in range(len(CANNOT_RUN))]
    outcomes = run_many(jobs, tmp_path, timeout=120)
    for done, (_, code, message) in zip(outcomes, CANNOT_RUN, strict=True):
        assert done.code == code, done.stderr
        assert message in done.stderr
        assert "kerasrl_runner/" not in done.stderr


ATARI = """\
import gym
import numpy as np
from keras import backend as K
from keras.layers import Activation, Convolution2D, Dense, Flatten, Permute
from keras.models import Sequential
from keras.optimizers import Adam
from rl.agents.dqn import DQNAgent
from rl.core import Processor
from rl.memory import SequentialMemory
from rl.policy import EpsGreedyQPolicy, LinearAnnealedPolicy


class Frames(Processor):
    def process_observation(self, observation):
        return observation[::4, ::4].mean(axis=-1).astype('uint8')

    def process_state_batch(self, batch):
        return batch.astype('float32') / 255.

    def process_reward(self, reward):
        return np.clip(reward, -1., 1.)


env = gym.make('BreakoutDeterministic-v4')
env.seed(123)
assert K.image_dim_ordering() == 'tf'
model = Sequential([Permute((2, 3, 1), input_shape=(4, 53, 40)),
                    Convolution2D(8, (8, 8), strides=(4, 4)), Activation('relu'), Flatten(),
                    Dense(env.action_space.n), Activation('linear')])
policy = LinearAnnealedPolicy(EpsGreedyQPolicy(), attr='eps', value_max=1., value_min=.1,
                              value_test=.05, nb_steps=100)
dqn = DQNAgent(model=model, nb_actions=env.action_space.n, policy=policy, processor=Frames(),
               memory=SequentialMemory(limit=1000, window_length=4), nb_steps_warmup=50,
               gamma=.99, target_model_update=50, train_interval=4, delta_clip=1.)
dqn.compile(Adam(lr=.00025), metrics=['mae'])
before = model.get_weights()[0].copy()
dqn.fit(env, nb_steps=300, log_interval=100, action_repetition=1)
print(env.unwrapped.ale.getEpisodeFrameNumber() > 0, (before != model.get_weights()[0]).any())
print(dqn.memory.observations[0].dtype, dqn.step)
"""


def test_an_atari_script_learns_from_frames(tmp_path):
    pytest.importorskip("ale_py")
    (tmp_path / "atari.py").write_text(ATARI, encoding="utf-8")
    done = script(tmp_path, "atari.py")
    assert done.code == 0, done.stderr
    assert done.stdout.endswith("True True\nuint8 300\n")
    assert "BreakoutDeterministic-v4 -> gymnasium.make('Breakout-v4', frameskip=4)" in done.stderr
    assert "leaked" not in done.stderr


def test_a_notebook_is_no_script(invoke, tmp_path):
    (tmp_path / "x.ipynb").write_text("{}")
    done = invoke("script", tmp_path / "x.ipynb")
    assert (done.code, "jupyter nbconvert" in done.stderr) == (2, True)


def test_no_such_script(invoke, tmp_path):
    done = invoke("script", tmp_path / "none.py")
    assert done.code == 2
    assert "cannot read the script" in done.stderr


def test_explain_says_what_to_change_and_runs_nothing(invoke, tmp_path):
    path = tmp_path / "classic.py"
    path.write_text(CLASSIC, encoding="utf-8")
    (tmp_path / "world.py").write_text(WORLD, encoding="utf-8")
    done = invoke("script", "--explain", path)
    assert done.code == 0
    assert "classic.py:3: import gym\n    import gymnasium as gym" in done.stdout
    assert "classic.py:32: env.seed(123)\n    env.reset(seed=123)" in done.stdout
    assert "classic.py:17: ENV_NAME = 'CartPole-v0'\n" in done.stdout
    assert "gymnasium.make('CartPole-v1', max_episode_steps=200)" in done.stdout
    assert "world.py" not in done.stdout  # the script does not import it
    path.write_text(f"import world\n{CLASSIC}", encoding="utf-8")
    assert "world.py:18: def step(self, action):" in invoke("script", "--explain", path).stdout


LONG = CLASSIC.replace("int(sys.argv[1])", "10 ** 6").replace("visualize=True", "visualize=False")


def test_ctrl_c_ends_the_training_and_the_script_goes_on_to_save(tmp_path):
    (tmp_path / "long.py").write_text(LONG, encoding="utf-8")
    child = start("script", "long.py", folder=tmp_path)
    until = time.monotonic() + 60
    while not list(tmp_path.glob("dqn_*.h5f")) and time.monotonic() < until:
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    done = finish(child)
    assert done.code == 0, done.stderr
    assert (tmp_path / "dqn_CartPole-v0_weights.h5f").exists()
    assert "Episode 2: reward: " in done.stdout
