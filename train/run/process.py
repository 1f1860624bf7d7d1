"""Environment variables that libraries read on import, and the end of a launched process."""

import atexit
import os
import sys
from importlib.util import find_spec


def prepare_process() -> None:
    """Set the environment variables that torch and DeepSpeed read on import; variables set by the user are kept."""
    # OpenMP's threads wait by spinning, for milliseconds. On two cores shared with another process, this made training
    # six times slower. A shorter spin costs nothing on an idle machine and recovers half of that loss.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if find_spec("deepspeed") and "DS_ACCELERATOR" not in os.environ:
        import torch

        if not torch.accelerator.is_available():  # else DeepSpeed prints to standard output, which is for results
            os.environ["DS_ACCELERATOR"] = "cpu"


def leave() -> None:
    """End a process of a multi-process launch once all its processes have arrived here; a single process just returns.

    The interpreter's own exit is avoided: threads of gloo and DeepSpeed that still wait for a peer may abort the
    process during teardown, in ``destroy_process_group`` too, and a finished run would count as failed.
    """
    import torch

    has_group = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not has_group or torch.distributed.get_world_size() == 1:  # a group of one belongs to another library (vLLM)
        return
    torch.distributed.barrier()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
