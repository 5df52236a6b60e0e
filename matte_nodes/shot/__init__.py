# SPDX-License-Identifier: Apache-2.0
"""A clip of mattes: inputs bound to a node, streams, chains, the automatic choice."""
