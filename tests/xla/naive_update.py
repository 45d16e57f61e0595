"""The DQN update written naively, for tests: eager, one variable at a time, the Keras way."""

from __future__ import annotations

import math

import numpy as np

from kerasrl_runner.vendor import tf


class NaiveUpdate:
    """keras-rl's backward() and compile() in eager TensorFlow, with all steps in plain order."""

    def __init__(
        self, online, target, optimizer, *, gamma, target_model_update, delta_clip=math.inf,
        double=False, target_is_late=False,
    ):  # fmt: skip
        self.online, self.target, self.optimizer = online, target, optimizer
        self.gamma, self.delta_clip, self.double = gamma, delta_clip, double
        self.tau, self.target_is_late = target_model_update, target_is_late

    def __call__(self, states, actions, rewards, next_states, terminated, weights=1.0):
        """Return loss, mean |TD error|, mean max Q; `td_errors` [B] are kept."""
        target_q = self.target(next_states, training=False).numpy()  # [B, A]
        if self.double:
            best = np.argmax(self.online(next_states, training=False).numpy(), 1)  # [B]
            next_value = target_q[np.arange(len(best)), best]  # [B]
        else:
            next_value = target_q.max(1)  # [B]
        td_target = rewards + self.gamma * next_value * np.where(terminated, 0.0, 1.0)  # [B]
        if self.target_is_late:
            self.move_target()
        with tf.GradientTape() as tape:
            q_values = self.online(states, training=True)  # [B, A]
            errors = td_target - tf.gather(q_values, actions, batch_dims=1)  # [B]
            losses = 0.5 * errors**2  # [B]
            if self.delta_clip < math.inf:
                linear = self.delta_clip * (abs(errors) - 0.5 * self.delta_clip)  # [B]
                losses = tf.where(abs(errors) < self.delta_clip, losses, linear)
            loss = tf.reduce_mean(losses * weights) + sum(self.online.losses)
        variables = self.online.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.td_errors = errors.numpy()
        if not self.target_is_late:
            self.move_target()
        return float(loss), float(np.mean(np.abs(errors))), float(np.mean(np.max(q_values, 1)))

    def move_target(self):
        if self.tau < 1:
            for old, new in zip(self.target.variables, self.online.variables, strict=True):
                if old.dtype.is_floating:
                    old.assign(self.tau * new + (1 - self.tau) * old)

    def hard_update(self):
        self.target.set_weights(self.online.get_weights())
