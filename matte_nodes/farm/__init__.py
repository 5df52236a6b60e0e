# SPDX-License-Identifier: Apache-2.0
"""Render farms: Open Job Description bundles, chunks that fit together, and the check that they do."""
