"""A preset's environment: gymnasium.make with errors that say how to act on them."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium import error as gymnasium_error
from gymnasium import spaces

from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.environments.observations import build_encoder
from kerasrl_runner.environments.rendering import prepare_window, set_window_caption
from kerasrl_runner.environments.seeds import TRAINING, episode_seeds
from kerasrl_runner.errors import EnvironmentFailed, PresetError, suggest_name
from kerasrl_runner.preset.modules import import_class, make_importable
from kerasrl_runner.preset.schema import Env, Preset, Wrapper

# Packages that environments need, with the extra of this project that installs them.
_EXTRAS = {"ale_py": "atari", "cv2": "atari", "Box2D": "box2d", "minatar": "minatar"}
# Namespaces of ids that Gymnasium knows once a module is imported, with that extra.
_NAMESPACES = {
    "ALE": ("ale_py", "atari"),
    "MinAtar": ("kerasrl_runner.environments.minatar", "minatar"),
}


def build_environment(
    preset: Preset, seed: int, stream: int, render_mode: str | None = None
) -> KerasRLEnvironment:
    """The preset's environment; episode k is reset with seed k of (seed, stream).

    `fit.nb_max_episode_steps` caps the episodes of the training's stream. With render_mode "human"
    it draws in a window, whose caption says preset, episode and return.
    """
    make_importable(preset)
    env = make_environment(preset.env, render_mode)
    encode = build_encoder(env.observation_space, preset.env.observation_scale)
    environment = KerasRLEnvironment(
        env,
        encode=encode,
        reward_clip=preset.env.reward_clip,
        terminal_reward=preset.env.terminal_reward,
        reward_scale=preset.env.reward_scale,
        seeds=episode_seeds(seed, stream),
        nb_max_episode_steps=preset.fit.nb_max_episode_steps if stream == TRAINING else None,
        action_mask=preset.env.action_mask,
    )
    if render_mode == "human":
        environment.watchers.append(
            lambda: set_window_caption(
                f"{preset.name}: episode {environment.episode}, "
                f"return {environment.episode_return:g}"
            )
        )
    return environment


def make_environment(env: Env, render_mode: str | None = None) -> gymnasium.Env:
    """The environment that [env] names, in its wrappers; "module:Id-v0" imports module first.

    Raises:
        PresetError: unknown id, a module that cannot be imported, arguments that the environment
            or a wrapper does not take, or an action space that is not Discrete.
        EnvironmentFailed: a package it needs is not installed, or it cannot be made.
    """
    arguments: dict[str, Any] = dict(env.kwargs)
    if env.max_episode_steps is not None:
        arguments["max_episode_steps"] = env.max_episode_steps
    if render_mode is not None:  # the constructors of many environments do not take it
        arguments["render_mode"] = render_mode
        prepare_window()
    try:
        made = gymnasium.make(env.id, **arguments)
    except gymnasium_error.DependencyNotInstalled as error:
        raise _missing_package(f"env.id: {env.id}", error) from error
    except (gymnasium_error.Error, ModuleNotFoundError) as error:
        if _find_extra(error):
            raise _missing_package(f"env.id: {env.id}", error) from error
        name = env.id.rpartition(":")[2]
        module, extra = _NAMESPACES.get(name.partition("/")[0], ("module", None))
        raise PresetError(
            f"env.id: Gymnasium cannot make {env.id}: {str(error).rstrip('.')}."
            f"{suggest_name(name, list(gymnasium.registry))} Expected a registered id, or "
            f"{module}:{name if extra else 'Id-v0'} of a module that registers it."
            f"{_install(extra)}"
        ) from error
    except TypeError as error:
        raise PresetError(f"env.kwargs: {env.id} refuses its arguments: {error}.") from error
    except (Exception, SystemExit) as error:  # its own constructor may raise anything
        raise EnvironmentFailed(
            f"env.id: {env.id} cannot be made: {type(error).__name__}: {error}."
        ) from error
    for number, wrapper in enumerate(env.wrappers):
        made = _wrap(made, wrapper, f"env.wrappers.{number} ({wrapper.name})")
    if not isinstance(made.action_space, spaces.Discrete):
        made.close()
        raise PresetError(
            f"env.id: {env.id} has actions {made.action_space}, and a DQN chooses among a few; "
            f"expected Discrete(n). Wrap the environment in one that maps n integers to actions."
        )
    return made


def _wrap(made: gymnasium.Env, wrapper: Wrapper, key: str) -> gymnasium.Env:
    """`made` in one more wrapper. Raises what make_environment does."""
    wrapper_class = import_class(wrapper.name, gymnasium.Wrapper, key)
    try:
        return wrapper_class(made, **wrapper.arguments)
    except gymnasium_error.DependencyNotInstalled as error:
        raise _missing_package(key, error) from error
    except (Exception, SystemExit) as error:  # its constructor judges by what it likes
        raise PresetError(
            f"{key}: it refuses these arguments or this environment: {type(error).__name__}: "
            f"{error}."
        ) from error


def _missing_package(key: str, error: Exception) -> EnvironmentFailed:
    return EnvironmentFailed(
        f"{key} needs a package: {str(error).rstrip('.')}.{_install(_find_extra(error))}"
    )


def _find_extra(error: BaseException | None) -> str | None:
    """The extra that installs what an import behind `error` did not find; None for others."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            return _EXTRAS.get(error.name.partition(".")[0])
        error = error.__cause__
    return None


def _install(extra: str | None) -> str:
    return f" To install it: pip install 'kerasrl-runner[{extra}]'" if extra else ""


def check_rendering(preset: Preset, render_mode: str | None) -> None:
    """Raises EnvironmentFailed where the preset's environment does not offer the mode."""
    if render_mode is None:
        return
    make_importable(preset)
    made = make_environment(preset.env)
    offered = list(made.metadata.get("render_modes") or [])
    made.close()
    if render_mode not in offered:
        raise EnvironmentFailed(
            f"{preset.env.id} cannot be shown: it offers the render modes "
            f"{', '.join(offered) or 'none'}, and {render_mode} is needed. Leave out --visualize "
            f"and --video."
        )
