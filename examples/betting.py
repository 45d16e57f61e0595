"""A betting game of one's own: one hand against two simple bots, the reward is the chips won.

Twelve cards, two of each rank from 1 to 6. Everybody pays one chip and gets a card; a round of
betting, a card for all on the table, a second round. A pair with the table's card beats every card
without one. Nobody may raise beyond what the poorest player who is still in can pay, so what is
legal depends on everybody's chips: `info["action_mask"]` says it.

`python examples/betting.py` lets two rules without any learning play it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

MEANINGS = ("fold", "check or call", "raise by 1", "raise by 2", "raise by 4")
FOLD, CALL = 0, 1
RAISES = {2: 1, 3: 2, 4: 4}  # action -> chips
RAISES_A_ROUND = 2
YOU, TIMID = 0, 1
NAMES = ("You", "Timid", "Caller")
RANKS, RICHEST = 6, 12


class Betting(gymnasium.Env):
    """An episode is one hand; chips are dealt anew, from 3 to 12 to each player."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi", "human"], "render_fps": 1}
    action_space = spaces.Discrete(len(MEANINGS))
    # Your card and the table's one-hot; pair, round, raises, to call, level, most, who is in.
    observation_space = spaces.Box(0, 1, (2 * RANKS + 8,), np.float32)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def get_action_meanings(self) -> list[str]:
        return list(MEANINGS)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.cards = self.np_random.permutation(np.repeat(np.arange(1, RANKS + 1), 2))[:4].tolist()
        self.chips = self.np_random.integers(3, RICHEST + 1, size=3).tolist()
        self.table = 0  # the rank of the card on the table, 0 before there is one
        self.level, self.paid = 1, [1, 1, 1]  # what each who stays in has to pay, and has paid
        self.players = [0, 1, 2]  # who is still in
        self.story: list[str] = []
        self._hand = self._play()
        next(self._hand)  # up to your first turn
        return self._observe(), self._inform()

    def step(self, action: int) -> Any:
        try:
            # Whoever does not know the mask calls, as gymnasium's `check_env` may.
            self._hand.send(int(action) if self.legal(YOU)[action] else CALL)
            reward, over = 0.0, False
        except StopIteration:
            reward, over = self._count_winnings(), True
        if self.render_mode == "human":
            print(self._draw())
        return self._observe(), reward, over, False, self._inform(over)

    def render(self) -> str | None:
        return self._draw() if self.render_mode == "ansi" else None

    def legal(self, player: int) -> np.ndarray:
        """A 0 or 1 for each action of the player."""
        most = min(self.chips[other] for other in self.players)
        may_raise = self.raises < RAISES_A_ROUND
        raises = [may_raise and self.level + chips <= most for chips in RAISES.values()]
        return np.array([self.level > self.paid[player], True, *raises], np.int8)

    def strength(self, player: int) -> int:
        """The card's rank, more than any rank for a pair with the table's card."""
        card = self.cards[player]
        return card + RANKS * (card == self.table)

    def _play(self) -> Generator[None, int, None]:
        """The hand as it goes; it waits where it is your turn, and is sent your action."""
        for self.round in (0, 1):
            self.table = self.cards[3] if self.round else 0
            self.raises = 0
            waiting = list(self.players)
            while waiting and len(self.players) > 1:
                player = waiting.pop(0)
                action = (yield) if player == YOU else self._choose_for_bot(player)
                self.story.append(f"{NAMES[player]}: {MEANINGS[action]}")
                if action == FOLD:
                    self.players.remove(player)
                    if player == YOU:
                        return
                    continue
                if action in RAISES:
                    self.level += RAISES[action]
                    self.raises += 1
                    others = [(player + 1) % 3, (player + 2) % 3]
                    waiting = [other for other in others if other in self.players]
                self.paid[player] = self.level

    def _choose_for_bot(self, player: int) -> int:
        """Timid folds weak cards to any bet, Caller to a large one. Both raise with a pair."""
        legal, strength = self.legal(player), self.strength(player)
        scared = self.level - self.paid[player] >= (1 if player == TIMID else 4)
        if scared and strength < RANKS:
            return FOLD
        wanted = 3 if player == TIMID else 2
        return wanted if strength > RANKS and legal[wanted] else CALL

    def _count_winnings(self) -> float:
        """The chips that you won, or lost."""
        best = max(self.strength(player) for player in self.players)
        winners = [player for player in self.players if self.strength(player) == best]
        return (sum(self.paid) / len(winners) if YOU in winners else 0.0) - self.paid[YOU]

    def _observe(self) -> np.ndarray:
        cards = np.zeros((2, RANKS + 1))
        cards[[0, 1], [self.cards[YOU], self.table]] = 1
        numbers = [
            self.strength(YOU) > RANKS,
            self.round,
            self.raises / RAISES_A_ROUND,
            (self.level - self.paid[YOU]) / RICHEST,
            self.level / RICHEST,
            min(self.chips[player] for player in self.players) / RICHEST,
            *(player in self.players for player in (1, 2)),
        ]
        return np.concatenate([cards[:, 1:].ravel(), numbers]).astype(np.float32)

    def _inform(self, over: bool = False) -> dict[str, Any]:
        return {"action_mask": self.legal(YOU) * (not over)}

    def _draw(self) -> str:
        cards = f"You hold {self.cards[YOU]}, on the table {self.table or 'none'}"
        told, self.story = self.story, []
        return "\n".join([*told, f"{cards}; pot {sum(self.paid)}, your part {self.paid[YOU]}"])


def choose_at_random(env: Betting) -> int:
    """Any legal action."""
    return int(env.np_random.choice(env.legal(YOU).nonzero()[0]))


def choose_sensibly(env: Betting) -> int:
    """Raise by 2 with a good card, fold any other to a bet, else check or call.

    The best of 36 such rules: what counts as good and as bad, and how much is raised.
    """
    legal, is_good = env.legal(YOU), env.strength(YOU) >= 5
    return 3 if is_good and legal[3] else CALL if is_good or not legal[FOLD] else FOLD


gymnasium.register("Betting-v0", Betting)

if __name__ == "__main__":
    for choose in (choose_at_random, choose_sensibly):
        env, hands = Betting(), 20_000
        env.reset(seed=0)
        won = []
        for _ in range(hands):
            env.reset()
            over = False
            while not over:
                _, reward, over, _, _ = env.step(choose(env))
            won.append(reward)
        error = np.std(won) / np.sqrt(hands)
        print(f"{choose.__name__}: {np.mean(won):+.3f} chips a hand (± {error:.3f})")
