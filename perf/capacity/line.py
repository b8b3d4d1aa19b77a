"""The line as processes: queue, workers with their prefetch, balancer, Triton pods, queue, decisions."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import simpy

from opica.errors import ConfigurationError
from perf.capacity.calibration import Calibration, Pod, Stage, Worker
from perf.capacity.resources import Clock, Cores, Gpus, Process, StepServer, Times


@dataclass(frozen=True)
class Deployment:
    """How many there are of each."""

    pods: int
    replicas: Mapping[str, int]
    """by worker"""

    def __post_init__(self) -> None:
        for name, number in {"pods": self.pods, **self.replicas}.items():
            if not 1 <= number <= 10_000:
                raise ConfigurationError(f"deployment: {number} {name}; wanted: 1 to 10000")


class _Queue:
    """A broker queue: images wait here until a worker has room."""

    def __init__(self, env: simpy.Environment) -> None:
        self.store, self.depth = simpy.Store(env), Clock(env)

    def put(self, image: Image) -> None:
        self.store.put(image)
        self.depth.set(len(self.store.items))

    def get(self) -> Generator[simpy.Event, Any, Image]:
        image: Image = yield self.store.get()
        self.depth.set(len(self.store.items))
        return image


@dataclass(eq=False)
class Image:
    """One photograph on its way."""

    arrived: float
    """seconds of simulated time"""


class _Replica:
    """One worker process: its threads share its lock, as Python's threads share theirs; it balances by itself."""

    def __init__(self, line: Line, worker: Worker, number: int) -> None:
        self.line, self.worker = line, worker
        self.cores = line.machine or Cores(line.env, worker.threads)
        self.lock, self.busy = simpy.Resource(line.env, worker.threads), Clock(line.env)
        self.outstanding = [0] * len(line.pods)
        # among equals the longest not chosen; replicas begin at different pods, as their addresses are shuffled
        self.picked = [(index - number) % len(line.pods) for index in range(len(line.pods))]
        self.picks = len(line.pods)

    def do(self, stage: Stage) -> Process:
        line = self.line
        if stage.cpu_ms:
            with self.lock.request() as turn:
                yield turn
                self.busy.add(1)
                yield self.cores.run(line.times.draw(stage.cpu_ms, stage.cv))
                self.busy.add(-1)
        if stage.wait_ms:
            yield line.env.timeout(line.times.draw(stage.wait_ms, stage.cv))

    def ask(self) -> Process:
        index = self._choose()
        self.outstanding[index] += 1
        yield from self.line.pods[index].inspect()
        self.outstanding[index] -= 1

    def _choose(self) -> int:
        pods = len(self.line.pods)
        match self.line.calibration.triton.balancing:
            case "random":
                return int(self.line.times.random.integers(pods))
            case "round_robin":
                index = min(range(pods), key=self.picked.__getitem__)
            case "least_outstanding":
                index = min(range(pods), key=lambda i: (self.outstanding[i], self.picked[i]))
        self.picked[index] = self.picks = self.picks + 1
        return index


class _Triton:
    def __init__(self, line: Line, pod: Pod) -> None:
        self.line, self.pod = line, pod
        self.cores = line.machine or Cores(line.env, pod.cores)
        self.gpus = Gpus(line.env, pod.gpus) if pod.gpus else None
        self.steps = [StepServer(line.env, step, self.cores, self.gpus, line.times) for step in pod.steps]

    def inspect(self) -> Process:
        transport, times = self.pod.transport, self.line.times
        yield self.cores.run(times.draw(transport.cpu_ms, transport.cv))
        if transport.wait_ms:
            yield self.line.env.timeout(times.draw(transport.wait_ms, transport.cv))
        for step in self.steps:
            yield step.infer()


class Line:
    """Everything, built and running; images go in with ``enter``.

    Args:
        left: called with every image that is decided.
    """

    def __init__(
        self,
        env: simpy.Environment,
        calibration: Calibration,
        deployment: Deployment,
        times: Times,
        left: Callable[[Image], None],
    ) -> None:
        if missing := {worker.name for worker in calibration.workers} ^ set(deployment.replicas):
            raise ConfigurationError(f"deployment: {', '.join(sorted(missing))} is not both in it and in the calibration")
        self.env, self.calibration, self.times, self.left = env, calibration, times, left
        machine = calibration.machine
        self.machine = Cores(env, machine.cores, machine.interference, machine.background) if machine else None
        self.client = machine.client if machine else Stage(name="client")
        self.pods = [_Triton(self, calibration.triton) for _ in range(deployment.pods)]
        self.broker_cores = self.machine or Cores(env, 1)
        self.queues = {worker.name: _Queue(env) for worker in calibration.workers}
        self.leaders = {worker.name: simpy.Resource(env, 1) for worker in calibration.workers}
        self.leading = {worker.name: Clock(env) for worker in calibration.workers}
        self.replicas: dict[str, list[_Replica]] = {}
        followers = [*(worker.name for worker in calibration.workers[1:]), None]
        for worker, follower in zip(calibration.workers, followers, strict=True):
            self.replicas[worker.name] = [_Replica(self, worker, n) for n in range(deployment.replicas[worker.name])]
            for _ in range(worker.prefetch):  # in turn, as the broker deals its deliveries
                for replica in self.replicas[worker.name]:
                    env.process(self._work(replica, follower))

    def enter(self) -> None:
        """An image arrives now."""
        self.env.process(self._enter(Image(self.env.now)))

    def _enter(self, image: Image) -> Process:
        if self.machine is not None and self.client.cpu_ms:
            yield self.machine.run(self.times.draw(self.client.cpu_ms, self.client.cv))
        self.queues[self.calibration.workers[0].name].put(image)

    def _work(self, replica: _Replica, follower: str | None) -> Process:
        worker, broker = replica.worker, self.calibration.broker
        while True:
            image = yield from self.queues[worker.name].get()
            yield from self._broke(worker.name, broker.deliver)
            for stage in worker.before:
                yield from replica.do(stage)
            if worker.asks_triton:
                yield from replica.ask()
            for stage in worker.after:
                yield from replica.do(stage)
            yield from self._broke(worker.name, broker.confirm)
            if follower is None:
                self.left(image)
            else:
                self.queues[follower].put(image)

    def _broke(self, queue: str, stage: Stage) -> Process:
        """The leader takes the message, the others and the disk confirm it."""
        if stage.cpu_ms:
            with self.leaders[queue].request() as turn:
                yield turn
                self.leading[queue].add(1)
                yield self.broker_cores.run(self.times.draw(stage.cpu_ms, stage.cv))
                self.leading[queue].add(-1)
        if stage.wait_ms:
            yield self.env.timeout(self.times.draw(stage.wait_ms, stage.cv))
