# SPDX-License-Identifier: Apache-2.0
"""`python -m matte_nodes` is `matte`."""

from matte_nodes.cli import main

main()
