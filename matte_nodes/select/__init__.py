# SPDX-License-Identifier: Apache-2.0
"""Clicks and boxes to masks: the points hint, the embedded selector, its way through time."""
