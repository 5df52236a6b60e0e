# SPDX-License-Identifier: Apache-2.0
"""The live side of OBS: plates and mattes pass through shared memory, and only the newest counts."""
