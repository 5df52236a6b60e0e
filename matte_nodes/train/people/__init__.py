# SPDX-License-Identifier: Apache-2.0
"""People and animals with exact alpha, and trainings on them (docs/people.md)."""
