# SPDX-License-Identifier: Apache-2.0
"""Render farms: Open Job Description bundles, chunks of a range, and the check of their seams."""
