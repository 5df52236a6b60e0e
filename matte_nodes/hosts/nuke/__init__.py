# SPDX-License-Identifier: Apache-2.0
"""The Nuke side: gizmos written from the declarations, their installer, the .cat export."""
