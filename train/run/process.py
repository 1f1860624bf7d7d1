"""Settings of the process that libraries read as they load; and the end of a launched process."""

import atexit
import os
import sys
from importlib.util import find_spec


def prepare_process() -> None:
    """Settings of this process that torch and DeepSpeed read as they are imported; what the user set stands."""
    # OpenMP's threads wait by spinning, for milliseconds; on two cores that another process shares, that made training
    # six times slower. Spinning shorter costs nothing on an idle machine and wins back half of it.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if find_spec("deepspeed") and "DS_ACCELERATOR" not in os.environ:
        import torch

        if not torch.accelerator.is_available():  # else DeepSpeed prints on standard output, which is for results
            os.environ["DS_ACCELERATOR"] = "cpu"


def leave() -> None:
    """Ends a process that was launched with others, once all are here and the work is done; alone, does nothing.

    The interpreter's own exit is avoided: threads of gloo and DeepSpeed that still wait for a peer may abort the
    process during teardown, in ``destroy_process_group`` too, and a finished run would count as failed.
    """
    import torch

    has_group = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not has_group or torch.distributed.get_world_size() == 1:  # a group of one is another's (vLLM's)
        return
    torch.distributed.barrier()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
