"""Between the vendor's loop and the callbacks: corrects counts, stops, and always ends.

The defects (D3c, ...) are those of docs/defects.md.
"""

from __future__ import annotations

from typing import Any

from kerasrl_runner.vendor import Callback, keras, rl_callbacks


class StopTraining(KeyboardInterrupt):
    """Ends the vendor's loop at the next step; it knows no other way than Ctrl-C."""


class CallbackRelay(Callback):
    """Passes the vendor's events on to the callbacks, corrected.

    The vendor's loop counts episodes and their steps in int16 (D3c) and sums rewards in float32
    (D27); it ignores `stop_training` (D21) and forgets `on_train_end` on an exception (D20).
    """

    def __init__(self, agent: Any, callbacks: list[Any]) -> None:
        super().__init__()
        self.history = keras.callbacks.History()
        self.interrupted = False
        self._agent = agent
        self._callbacks = rl_callbacks.CallbackList([*callbacks, self.history])
        self._episode = 0
        self._episode_step = 0
        self._episode_return = 0.0
        self._began = False

    def set_model(self, model: Any) -> None:
        self._callbacks.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        self._callbacks.set_params(params)

    @property
    def env(self) -> Any:
        """The environment, which the vendor's loop assigns to its callbacks."""
        return self._env

    @env.setter
    def env(self, env: Any) -> None:
        self._env = env
        for callback in self._callbacks.callbacks:
            callback.env = env

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
        self._callbacks.on_episode_begin(self._episode, {})

    def on_episode_end(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        corrected = {**(logs or {}), "episode_reward": self._episode_return}
        if "nb_episode_steps" in corrected:  # The name in fit; test calls it nb_steps.
            corrected["nb_episode_steps"] = self._episode_step
        self._callbacks.on_episode_end(self._episode, corrected)
        self._episode += 1

    def on_step_begin(self, step: int, logs: dict[str, Any] | None = None) -> None:
        self._check_stop()
        self._callbacks.on_step_begin(self._episode_step, {})

    def on_step_end(self, step: int, logs: dict[str, Any] | None = None) -> None:
        corrected = {**(logs or {}), "episode": self._episode}
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


def training_loggers(verbose: int, log_interval: int, visualize: bool) -> list[Any]:
    """The vendor's own callbacks for fit's arguments."""
    loggers = [rl_callbacks.Visualizer()] if visualize else []
    if verbose == 1:
        loggers.append(rl_callbacks.TrainIntervalLogger(interval=log_interval))
    elif verbose > 1:
        loggers.append(rl_callbacks.TrainEpisodeLogger())
    return loggers


def test_loggers(verbose: int, visualize: bool) -> list[Any]:
    """The vendor's own callbacks for test's arguments."""
    loggers = [rl_callbacks.Visualizer()] if visualize else []
    return [*loggers, rl_callbacks.TestLogger()] if verbose else loggers


def refuse_vendor_loops(action_repetition: int, nb_max_start_steps: int) -> None:
    """Raises ValueError for what the vendor's loops offer and a wrapper does right."""
    if action_repetition != 1 or nb_max_start_steps != 0:
        raise ValueError(
            f"action_repetition={action_repetition} and nb_max_start_steps={nb_max_start_steps}: "
            f"expected 1 and 0. Frame skip and random starts belong into a gymnasium wrapper."
        )
