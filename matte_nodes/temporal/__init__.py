# SPDX-License-Identifier: Apache-2.0
"""Time as a value: content keys, states and results that are kept, cuts, warm starts, steadying.

docs/caching.md states the contract. Nothing here knows of models' insides or of hosts.
"""
