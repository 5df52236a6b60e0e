# SPDX-License-Identifier: Apache-2.0
"""Adapters for Nuke, Blender and OBS: install them, find them, feed them."""
