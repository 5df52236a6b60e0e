# SPDX-License-Identifier: Apache-2.0
"""The rate of a movie that is written from a plate without one."""

from fractions import Fraction

DEFAULT_RATE = Fraction(24)
