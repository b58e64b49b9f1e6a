"""Times of several contenders, taken in turns."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

# A contender is called with a number of runs and returns the milliseconds of the median one.
Contender = Callable[[int], float]


@dataclass
class Effort:
    """How long to measure."""

    rounds: int = 9
    # A turn runs a layer as often as fits into this many milliseconds, once at least.
    turn: float = 25.0
    # Rounds after which contenders that are out of the running are dropped.
    trial: int = 2
    # Out of the running: this many times as slow as the best of the same side.
    hopeless: float = 1.4
    # Milliseconds of rest before a turn, in which other libraries' threads stop spinning.
    rest: float = 8.0


QUICK = Effort(rounds=3, turn=8.0, trial=1)


@dataclass
class Times:
    """The milliseconds of a contender's turns."""

    contender: Contender
    runs: int = 1
    turns: list[float] = field(default_factory=list)

    def take_turn(self, effort: Effort) -> None:
        """Warms up for one run, then measures."""
        time.sleep(effort.rest / 1e3)
        self.contender(1)
        self.turns.append(self.contender(self.runs))

    @property
    def best(self) -> float:
        """The median turn."""
        return median(self.turns)


def runs_of(call: Callable[[], object]) -> Contender:
    """The contender that calls `call`."""

    def contend(runs: int) -> float:
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return median(times) * 1e3

    return contend


def in_turns(ours: Contender, peers: dict[str, Contender], effort: Effort) -> tuple[float, dict[str, float]]:
    """Milliseconds of ours and of each peer that was not out of the running."""
    ours_times = Times(ours)
    peer_times = {name: Times(peer) for name, peer in peers.items()}
    for times in [ours_times, *peer_times.values()]:
        times.contender(2)
        once = times.contender(1)
        times.runs = max(1, round(effort.turn / max(once, 1e-3)))
    for turn in range(effort.rounds):
        if turn == effort.trial:
            limit = effort.hopeless * min(times.best for times in peer_times.values())
            peer_times = {name: times for name, times in peer_times.items() if times.best <= limit}
        # Who follows whom changes from round to round: no contender always finds the same caches.
        order = [ours_times, *peer_times.values()]
        for times in order[turn % len(order) :] + order[: turn % len(order)]:
            times.take_turn(effort)
    return ours_times.best, {name: times.best for name, times in peer_times.items()}
