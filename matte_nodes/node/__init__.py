# SPDX-License-Identifier: Apache-2.0
"""MatteNode: one frame from plate and hints to a Matte."""
