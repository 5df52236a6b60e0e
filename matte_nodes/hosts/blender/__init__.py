# SPDX-License-Identifier: Apache-2.0
"""The Blender add-on from outside: building its zip, putting it into Blender, looking after it."""
