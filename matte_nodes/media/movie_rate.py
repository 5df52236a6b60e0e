# SPDX-License-Identifier: Apache-2.0
"""Chooses the frame rate of a movie when the plate has none."""

from fractions import Fraction

DEFAULT_RATE = Fraction(24)
