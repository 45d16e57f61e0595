"""Whatever is typed behind --set gives a preset or one readable refusal."""

from __future__ import annotations

import contextlib

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kerasrl_runner.errors import PresetError
from kerasrl_runner.preset import Preset, load_preset, preset_from_toml, preset_to_toml

KEYS = """
name description extends env env.id env.kwargs env.kwargs.x env.observation_scale env.reward_scale
env.max_episode_steps model model.layers model.layers.0 memory memory.limit memory.window_length
policy policy.EpsGreedyQPolicy policy.EpsGreedyQPolicy.eps policy.LinearAnnealedPolicy.inner_policy
policy.LinearAnnealedPolicy.attr policy.BoltzmannQPolicy.clip agent agent.gamma agent.delta_clip
agent.target_model_update optimizer optimizer.Adam optimizer.Adam.learning_rate
optimizer.Adam.learning_rate.PolynomialDecay optimizer.SGD fit fit.nb_steps evaluate
evaluate.stop_at_return test.nb_episodes
""".split()

VALUES = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="[]{}=\"',.#\\\n 01aenx_-+:", max_size=30),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ["true", "{}", "[]", "''", "{ Adam = {} }", "[[]]", "[{ Dense = {} }]", "1979-05-27"]
    ),
)
OVERRIDES = st.one_of(
    st.text(max_size=60), st.builds("{}={}".format, st.sampled_from(KEYS), VALUES)
)


@settings(max_examples=500, deadline=None)
@given(override=OVERRIDES)
@example(override="agent.gamma=" + "9" * 5_000)
@example(override="agent.gamma=1" + "0" * 400)
@example(override="env.kwargs." + "a." * 3_000 + "b=1")
@example(override="env.kwargs.x=" + "[" * 3_000)
@example(override="env.kwargs.x=nan")
@example(override="description=\udc80")
def test_any_override_gives_a_preset_that_reads_back_or_a_preset_error(override):
    try:
        preset = load_preset("cartpole", [override])
    except PresetError:
        return
    assert isinstance(preset, Preset)
    text = preset_to_toml(preset)
    assert preset_to_toml(preset_from_toml(text.encode("utf-8").decode("utf-8"))) == text


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_gives_a_preset_or_a_preset_error(text):
    with contextlib.suppress(PresetError):
        assert isinstance(preset_from_toml(text), Preset)
