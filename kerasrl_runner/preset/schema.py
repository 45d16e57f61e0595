"""A preset as frozen, checked data. Each section speaks the words of the library it configures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    ValidationError,
    field_validator,
    model_validator,
)

from kerasrl_runner.errors import suggest_name
from kerasrl_runner.preset.names import KERAS_LAYERS, LEARNING_RATE_SCHEDULES, RESERVED_LAYER_NAMES


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


_Probability = Annotated[float, Field(ge=0, le=1)]
# Field(strict=False) would do, but not within a union: pydantic 2.7 takes no list there.
_Clip = Annotated[tuple[float, float], BeforeValidator(_as_tuple)]
_Scale = Annotated[tuple[float, ...], BeforeValidator(_as_tuple)]


class _Section(BaseModel):
    """Strict: TOML's types are taken as they are, 1.0 is no integer and "1" no number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class _NamedTable(RootModel[dict[str, dict[str, Any]]]):
    """One class by its name, with its arguments: `{ Dense = { units = 24 } }`."""

    model_config = ConfigDict(frozen=True, strict=True)

    @property
    def name(self) -> str:
        return next(iter(self.root))

    @property
    def arguments(self) -> dict[str, Any]:
        return next(iter(self.root.values()))


class Wrapper(_NamedTable):
    """One gymnasium.Wrapper: `{ "gymnasium.wrappers:AtariPreprocessing" = { ... } }`."""

    @model_validator(mode="after")
    def _check(self) -> Wrapper:
        if len(self.root) != 1 or ":" not in self.name:
            raise ValueError(
                f'expected one wrapper a table, such as {{ "module:Class" = {{ ... }} }}, received '
                f"{', '.join(self.root) or 'none'}"
            )
        return self


class Env(_Section):
    """`gymnasium.make` arguments, and what is done to what the environment returns."""

    id: str = Field(min_length=1)
    max_episode_steps: int | None = Field(default=None, ge=1)
    kwargs: dict[str, Any] = {}
    wrappers: tuple[Wrapper, ...] = Field(default=(), strict=False)
    observation_scale: float | _Scale = 1.0
    # In this order, and only in what the agent learns from.
    reward_clip: _Clip | None = None
    terminal_reward: float | None = None
    reward_scale: float = 1.0
    action_mask: bool = False

    @field_validator("reward_clip")
    @classmethod
    def _check_order(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and value[0] > value[1]:
            raise ValueError(f"expected the lower limit first, received {list(value)}")
        return value


class Layer(_NamedTable):
    """One Keras layer: `{ Dense = { units = 24 } }`, or `{ "module:Class" = { ... } }`."""

    @model_validator(mode="after")
    def _check(self) -> Layer:
        _check_layer(self.root)
        return self


def _check_layer(table: Any) -> None:
    """Raises ValueError for a table that is not one known layer, the layers it wraps included."""
    if not isinstance(table, dict) or len(table) != 1:
        raise ValueError(
            f"expected one layer a table, such as {{ Dense = {{ units = 24 }} }}, received "
            f"{', '.join(table) or 'none' if isinstance(table, dict) else table}"
        )
    ((name, arguments),) = table.items()
    if name == "Lambda":
        raise ValueError(
            "Lambda layers carry code and are refused; write a keras.layers.Layer class and "
            'name it "module:Class"'
        )
    if ":" not in name and name not in KERAS_LAYERS:
        raise ValueError(
            f'no Keras layer for a Sequential is called "{name}".'
            f"{suggest_name(name, list(KERAS_LAYERS))} A layer of your own is spelled "
            f'"module:Class"'
        )
    if not isinstance(arguments, dict):
        raise ValueError(f"{name}: expected a table of arguments, received {arguments!r}")
    for key in ("layer", "backward_layer"):  # what Bidirectional and TimeDistributed wrap
        if key in arguments:
            _check_layer(arguments[key])
    _check_arguments(arguments)
    own = arguments.get("name", "a")
    if not isinstance(own, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", own):
        raise ValueError(
            f"expected a layer name of letters, digits and underscores that begins with a letter, "
            f"received {own!r}"
        )
    if own in RESERVED_LAYER_NAMES or re.fullmatch(r"(layer|flatten)_\d+", own):
        raise ValueError(
            f'the layer name "{own}" is given by keras-rl or by this project; choose another'
        )


def _check_arguments(value: Any) -> None:
    """Raises ValueError for a key by which Keras would import a module or build any class."""
    for key in value if isinstance(value, dict) else ():
        if key in ("module", "class_name", "registered_name"):
            raise ValueError(
                f'"{key}" is refused in a layer\'s arguments, since Keras would run what it names; '
                f"name initializers and the like by a string, and classes of your own by "
                f'"module:Class"'
            )
    inner = value.values() if isinstance(value, dict) else value
    for part in inner if isinstance(value, dict | list) else ():
        _check_arguments(part)


class Model(_Section):
    """The layers between the observation and the Q head; both ends are added."""

    layers: tuple[Layer, ...] = Field(strict=False)

    @model_validator(mode="after")
    def _check_names(self) -> Model:
        names = [layer.arguments["name"] for layer in self.layers if "name" in layer.arguments]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f'two layers are called "{twice}"; give each a name of its own')
        return self


class Priority(_Section):
    """Not keras-rl's: prioritized replay. Without `beta_steps` beta is 1 at fit.nb_steps."""

    alpha: _Probability = 0.6
    beta: _Probability = 0.4
    beta_steps: int | None = Field(default=None, ge=1)


class Memory(_Section):
    """rl.memory.SequentialMemory; `limit` in stored observations."""

    limit: int = Field(default=50_000, ge=1)
    window_length: int = Field(default=1, ge=1)
    priority: Priority | None = None


class _OneTable(_Section):
    """A section that holds exactly one table, whose name chooses the class."""

    @model_validator(mode="after")
    def _check_one_table(self) -> _OneTable:
        chosen = [key for key, value in self if value is not None]
        if len(chosen) != 1:
            raise ValueError(
                f"expected exactly one of {', '.join(type(self).model_fields)}; received "
                f"{' and '.join(chosen) or 'none'}"
            )
        return self

    @property
    def chosen(self) -> tuple[str, Any]:
        """The chosen class's name and its arguments."""
        return next((key, value) for key, value in self if value is not None)


class EpsGreedy(_Section):
    """The arguments of rl.policy.EpsGreedyQPolicy, and so on."""

    eps: _Probability = 0.1


class Greedy(_Section):
    pass


class Boltzmann(_Section):
    tau: float = Field(default=1.0, gt=0)
    clip: _Clip = (-500.0, 500.0)


class MaxBoltzmann(Boltzmann):
    eps: _Probability = 0.1


class BoltzmannGumbel(_Section):
    C: float = Field(default=1.0, gt=0)


class InnerPolicy(_OneTable):
    """One class of rl.policy, whose arguments can be annealed."""

    EpsGreedyQPolicy: EpsGreedy | None = None
    GreedyQPolicy: Greedy | None = None
    BoltzmannQPolicy: Boltzmann | None = None
    MaxBoltzmannQPolicy: MaxBoltzmann | None = None
    BoltzmannGumbelQPolicy: BoltzmannGumbel | None = None


class _Annealed(_Section):
    inner_policy: InnerPolicy
    attr: str
    value_max: float
    value_min: float
    value_test: float

    @model_validator(mode="after")
    def _check_attr(self) -> _Annealed:
        name, inner = self.inner_policy.chosen
        annealable = [key for key, value in inner if isinstance(value, float)]
        if self.attr not in annealable:
            expected = " or ".join(annealable) or "another inner policy: this one has no number"
            raise ValueError(
                f'attr = "{self.attr}" is nothing that {name} could anneal; expected {expected}'
            )
        for key in ("value_max", "value_min"):  # evaluation and test are greedy: no value_test
            value = getattr(self, key)
            try:
                type(inner).model_validate({self.attr: value})
            except ValidationError as error:
                expected = error.errors()[0]["msg"].replace("Input should be", "expected")
                raise ValueError(
                    f"{key} is no {self.attr} of {name}: {expected}, received {value}"
                ) from error
        return self


class LinearAnnealed(_Annealed):
    nb_steps: int = Field(ge=1)


class ExponentialAnnealed(_Annealed):
    """Not keras-rl's: max(value_min, value_max * factor ** count), of what `per` counts."""

    factor: float = Field(gt=0, le=1)
    per: Literal["env_step", "learn_call", "episode"] = "env_step"

    @model_validator(mode="after")
    def _check_limits(self) -> ExponentialAnnealed:
        if self.value_max < self.value_min:
            raise ValueError(
                f"value_max = {self.value_max} is below value_min = {self.value_min}, and nothing "
                f"would decay; expected it above"
            )
        return self


class Policy(InnerPolicy):
    """One class of rl.policy, or ExponentialAnnealedPolicy."""

    LinearAnnealedPolicy: LinearAnnealed | None = None
    ExponentialAnnealedPolicy: ExponentialAnnealed | None = None


class Agent(_Section):
    """rl.agents.DQNAgent's own arguments."""

    gamma: _Probability = 0.99
    batch_size: int = Field(default=32, ge=1)
    nb_steps_warmup: int = Field(default=1_000, ge=0)
    # "episode", which keras-rl does not have: at the last env step of each.
    train_interval: Annotated[int, Field(ge=1)] | Literal["episode"] = 1
    # Not keras-rl's: updates in one call at each train_interval'th env step.
    gradient_steps: int = Field(default=1, ge=1)
    n_steps: int = Field(default=1, ge=1, le=1_000)  # env steps whose rewards a target sums up
    target_model_update: int | float = Field(default=10_000, gt=0)
    # Not keras-rl's either: without one, the online network values the next states.
    target_network: bool = True
    delta_clip: float = Field(default=float("inf"), gt=0, allow_inf_nan=True)
    enable_double_dqn: bool = False
    enable_dueling_network: bool = False
    dueling_type: Literal["avg", "max", "naive"] = "avg"
    # Not keras-rl's: that of the engine `qtable`, 0.1 where None. A network's is its optimizer's.
    learning_rate: float | None = Field(default=None, gt=0, le=1)

    @field_validator("target_model_update")
    @classmethod
    def _check_rate_or_steps(cls, value: float) -> float:
        if value >= 1 and value != int(value):
            raise ValueError(
                f"expected a rate below 1 (soft) or a whole number of env steps (hard), received "
                f"{value}"
            )
        return value


_OptimizerArguments = dict[str, Any] | None


class Optimizer(_OneTable):
    """One Keras optimizer with its arguments; `learning_rate` may be a table of one schedule."""

    Adadelta: _OptimizerArguments = None
    Adagrad: _OptimizerArguments = None
    Adam: _OptimizerArguments = None
    Adamax: _OptimizerArguments = None
    Ftrl: _OptimizerArguments = None
    Nadam: _OptimizerArguments = None
    RMSprop: _OptimizerArguments = None
    SGD: _OptimizerArguments = None

    @model_validator(mode="after")
    def _check_arguments(self) -> Optimizer:
        for key, value in self.chosen[1].items():
            if key not in ("learning_rate", "name") and not isinstance(value, int | float):
                raise ValueError(f"{key}: expected a number, received {value!r}")
        rate = self.chosen[1].get("learning_rate", 1e-3)
        if isinstance(rate, dict):
            kind = ", ".join(rate) or "nothing"
            if kind not in LEARNING_RATE_SCHEDULES or not isinstance(rate[kind], dict):
                raise ValueError(
                    f"learning_rate: expected a number or a table of one of "
                    f"{', '.join(LEARNING_RATE_SCHEDULES)}; received {kind}."
                    f"{suggest_name(kind, list(LEARNING_RATE_SCHEDULES))}"
                )
        elif isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1e6:
            raise ValueError(
                f"learning_rate: expected a number above 0 and below 1e6, received {rate!r}"
            )
        return self


class Fit(_Section):
    """rl.core.Agent.fit: `nb_steps` counts env steps. The earlier of two limits ends a run."""

    nb_steps: int = Field(default=50_000, ge=1)
    nb_episodes: int | None = Field(default=None, ge=1)
    nb_max_episode_steps: int | None = Field(default=None, ge=1)


class Evaluate(_Section):
    """Periodic greedy evaluation: the best weights are kept by it. `every_steps = 0`: none."""

    every_steps: int = Field(default=5_000, ge=0)
    episodes: int = Field(default=5, ge=1)
    nb_max_episode_steps: int = Field(default=10_000, ge=1)
    stop_at_return: float | None = None


class Test(_Section):
    """rl.core.Agent.test. Episodes are capped, so that an endless one cannot hang."""

    nb_episodes: int = Field(default=5, ge=1)
    nb_max_episode_steps: int = Field(default=10_000, ge=1)


class Preset(_Section):
    """Everything that a run is made of, but its seed, engine and folder."""

    # It becomes the name of a folder and of files.
    name: str = Field(pattern=r"^\w[\w.+ -]*$", max_length=100)
    description: str = ""
    env: Env
    model: Model | None = None  # None: a table, which the engine `qtable` trains
    memory: Memory = Memory()
    policy: Policy = Policy(EpsGreedyQPolicy=EpsGreedy())
    agent: Agent = Agent()
    optimizer: Optimizer = Optimizer(Adam={"learning_rate": 1e-3})
    fit: Fit = Fit()
    evaluate: Evaluate = Evaluate()
    test: Test = Test()

    # Where the file lay: its modules can be imported. Not part of what the preset says.
    _folder: Path | None = PrivateAttr(default=None)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Those between the observation and the Q head; a table has none."""
        return self.model.layers if self.model else ()

    @property
    def folder(self) -> Path | None:
        return self._folder

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Preset) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]
