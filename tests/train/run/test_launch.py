"""The launch configurations that are shipped: accelerate takes them, every key."""

from pathlib import Path

import pytest

from tests.paths import ROOT

CONFIGS = sorted((ROOT / "pipelines" / "accelerate").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_accelerate_reads_the_launch_configuration(path: Path) -> None:
    from accelerate.commands.config import load_config_from_file

    config = load_config_from_file(str(path))
    kind = {"fsdp2.yaml": "FSDP", "zero3.yaml": "DEEPSPEED"}[path.name]
    assert str(config.distributed_type).endswith(kind)
    assert config.mixed_precision == "no"
    if kind == "FSDP":
        assert config.fsdp_config["fsdp_version"] == 2
        assert config.fsdp_config["fsdp_state_dict_type"] == "SHARDED_STATE_DICT"
    else:
        assert config.deepspeed_config["zero_stage"] == 3
