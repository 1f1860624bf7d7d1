"""What has to be said to libraries before they load."""

import os
from importlib.util import find_spec


def settle_process() -> None:
    """Settings of this process that torch and DeepSpeed read as they are imported; what the user set stands."""
    # OpenMP's threads wait by spinning, for milliseconds; on two cores that another process shares, that made training
    # six times slower. Spinning shorter costs nothing on an idle machine and wins back half of it.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if find_spec("deepspeed") and "DS_ACCELERATOR" not in os.environ:
        import torch

        if not torch.accelerator.is_available():  # else it tells so on standard output, which is for results
            os.environ["DS_ACCELERATOR"] = "cpu"


def leave_group() -> None:
    """Ends what binds this process to the others of its launch, once all are here: gloo's threads, when they are left
    to the end of the interpreter, may abort a process whose work is done. A group of one is another's (vLLM's)."""
    import torch

    given = torch.distributed.is_available() and torch.distributed.is_initialized()
    if given and torch.distributed.get_world_size() > 1:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
