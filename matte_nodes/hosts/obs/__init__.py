# SPDX-License-Identifier: Apache-2.0
"""The live side of OBS: frames and mattes through shared memory, newest frame only."""
