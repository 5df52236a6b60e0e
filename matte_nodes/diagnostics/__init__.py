# SPDX-License-Identifier: Apache-2.0
"""Reports about this machine: doctor, parity, GPU report, warm-up."""
