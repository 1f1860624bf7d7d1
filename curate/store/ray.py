"""Run a stage's shards on the actors of a Ray cluster. Actors get paths and write receipts.

Each actor opens the stage once, keeps its engine loaded, and takes a whole GPU where the cluster has GPUs. The folders
must be reachable under the same path from every node.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from curate.config.settings import ConfigError
from curate.store.runner import Executor, finish_shard
from curate.store.stage import Stage


def on_ray(address: str) -> Executor:
    """An executor on the cluster at ``address`` ("local" starts one on this machine).

    Raises ``ConfigError`` where Ray is not installed or the cluster does not answer.
    """
    try:
        import ray as library
    except ImportError as error:
        raise ConfigError("--ray needs Ray; install curate[ray]") from error
    ray: Any = library  # much of Ray is untyped
    try:
        ray.init(address=None if address == "local" else address, ignore_reinit_error=True, log_to_driver=False)
    except Exception as error:
        raise ConfigError(f"--ray {address}: no cluster answers there ({error}); start one with `ray start --head`, or "
                          "give --ray local") from error  # fmt: skip

    def execute(stage: Stage, shards: Sequence[Path], out: Path) -> Iterator[Path]:
        if not shards:
            return
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        count = min(len(shards), gpus or max(1, int(resources.get("CPU", 1))))
        remote = ray.remote(num_gpus=1 if gpus else 0, num_cpus=1)(_Actor)
        pool = ray.util.ActorPool([remote.remote(stage, str(out.resolve())) for _ in range(count)])
        for path in pool.map_unordered(lambda actor, shard: actor.finish.remote(str(shard.resolve())), list(shards)):
            yield Path(path)

    return execute


class _Actor:
    def __init__(self, stage: Any, out: str):
        self.stage, self.worker = stage, stage.open()
        self.out = Path(out)

    def finish(self, shard: str) -> str:
        finish_shard(self.stage, self.worker, Path(shard), self.out)
        return shard
