"""Between the vendor's loop and the callbacks: corrects counts, stops, and always ends.

The defects (D3c, ...) are those of docs/defects.md.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.vendor import Callback, keras, rl_callbacks

# Callbacks of Keras that read what only a Keras model has.
_OF_KERAS = (keras.callbacks.TensorBoard, keras.callbacks.ModelCheckpoint)


class StopTraining(KeyboardInterrupt):
    """Ends the vendor's loop at the next step; it knows no other way than Ctrl-C."""


class CallbackRelay(Callback):
    """Passes the vendor's events on to the callbacks, corrected.

    The vendor's loop counts episodes and their steps in int16 (D3c) and sums rewards in float32
    (D27); it ignores `stop_training` (D21), forgets `on_train_end` on an exception (D20), and is
    handed no info (D7). `cap` is how many env steps after its start steps truncate an episode.
    """

    def __init__(
        self, agent: Any, environment: KerasRLEnvironment, env: Any, callbacks: Any, cap: int | None
    ) -> None:
        super().__init__()
        self.environment = environment
        self.history = keras.callbacks.History()
        self.interrupted = False
        self._agent = agent
        self._env = env
        self._cap = cap
        self._callbacks = rl_callbacks.CallbackList([*callbacks, self.history])
        self._episode = 0
        self._episode_step = 0
        self._episode_return = 0.0
        self._began = False

    def set_model(self, model: Any) -> None:
        for callback in self._callbacks.callbacks:
            is_keras = isinstance(callback, _OF_KERAS)
            callback.set_model(model.trainable_model if is_keras else model)
            draws = isinstance(callback, rl_callbacks.Visualizer)  # as Gymnasium refuses (D6)
            callback.env = self.environment if draws else self._env

    def set_params(self, params: dict[str, Any]) -> None:
        if "nb_steps" in params:  # The loop counts on from earlier fits (D19); this one's alone.
            params = {"nb_steps": params["nb_steps"] - self._agent.step}
        self._callbacks.set_params(params)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._began = True
        self._callbacks.on_train_begin({})

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        aborted = bool((logs or {}).get("did_abort"))
        self.interrupted = aborted and not self._agent.stop_training
        self.finish(did_abort=self.interrupted)

    def finish(self, did_abort: bool) -> None:
        """Call every callback's on_train_end, once, if training began."""
        if self._began:
            self._began = False
            self._callbacks.on_train_end({"did_abort": did_abort})

    def on_episode_begin(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        self._check_stop()
        self._episode_step = 0
        self._episode_return = 0.0
        if self._cap:
            self.environment.nb_max_episode_steps = None
        self._callbacks.on_episode_begin(self._episode, {})

    def on_episode_end(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        corrected = {**(logs or {}), "episode_reward": self._episode_return}
        if "nb_episode_steps" in corrected:  # The name in fit; test calls it nb_steps.
            corrected["nb_episode_steps"] = self._episode_step
        self._callbacks.on_episode_end(self._episode, corrected)
        self._episode += 1

    def on_step_begin(self, step: int, logs: dict[str, Any] | None = None) -> None:
        self._check_stop()
        if self._cap and self._episode_step == 0:  # start steps do not count
            self.environment.nb_max_episode_steps = self.environment.episode_length + self._cap
        self._callbacks.on_step_begin(self._episode_step, {})

    def on_step_end(self, step: int, logs: dict[str, Any] | None = None) -> None:
        corrected = {**(logs or {}), "episode": self._episode, "info": self.environment.info}
        self._episode_return += float(corrected["reward"])
        self._agent.note_next_observation(corrected["observation"])
        self._callbacks.on_step_end(self._episode_step, corrected)
        self._episode_step += 1

    def on_action_begin(self, action: int, logs: dict[str, Any] | None = None) -> None:
        self._callbacks.on_action_begin(action, {})

    def on_action_end(self, action: int, logs: dict[str, Any] | None = None) -> None:
        self._callbacks.on_action_end(action, {})

    def _check_stop(self) -> None:
        if self._agent.stop_training:
            raise StopTraining


@contextlib.contextmanager
def move_processor(processor: Any, environment: KerasRLEnvironment) -> Iterator[None]:
    """Let the environment call `process_step` in the loop's stead, which adds up info (D7)."""
    if processor is None:
        environment.process_step = None
        yield
        return
    environment.process_step = functools.partial(type(processor).process_step, processor)
    inside_fit = "process_step" in vars(processor)
    processor.process_step = _pass_on
    try:
        yield
    finally:
        if not inside_fit:
            del processor.process_step


def _pass_on(*step: Any) -> tuple[Any, ...]:  # no lambda: a callback may pickle the processor
    return step
