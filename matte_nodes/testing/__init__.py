# SPDX-License-Identifier: Apache-2.0
"""The compliance suite: what any model, ours or another package's, must pass.

Use it from pytest by subclassing (docs/adding-a-model.md):

    from matte_nodes.testing import ModelCompliance
    from my_package import CARD

    class TestMyModel(ModelCompliance):
        card = CARD
"""

from matte_nodes.testing.bank_compliance import BankCompliance
from matte_nodes.testing.compliance import ModelCompliance

__all__ = ["BankCompliance", "ModelCompliance"]
