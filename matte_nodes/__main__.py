# SPDX-License-Identifier: Apache-2.0
"""`python -m matte_nodes` is `matte`."""

from .cli import main

main()
