# SPDX-License-Identifier: Apache-2.0
"""One thread (the machine is shared), no gradients, and random networks that are not degenerate."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(7)
    with torch.inference_mode():
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def parity_folder() -> Path:
    """The fixtures of the published networks; skipped where they are not."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "parity"
    folder = Path(os.environ.get("MATTE_PARITY", beside))
    if not folder.is_dir():
        pytest.skip(f"no parity fixtures: set MATTE_PARITY or put them in {beside}")
    return folder


@pytest.fixture
def alive() -> Callable[[nn.Module], nn.Module]:
    """Random weights and statistics, so that no layer is a no-op and twins are told apart."""

    def fill(network: nn.Module) -> nn.Module:
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.ndim > 1:
                tensor.normal_(0, (1.5 / tensor[0].numel()) ** 0.5)
            elif tensor.is_floating_point() and name.endswith("weight"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point():
                tensor.normal_(0, 0.1)
        return network.eval()

    return fill
