# SPDX-License-Identifier: Apache-2.0
"""What this machine can do: doctor, parity, GPU report, warm-up."""
