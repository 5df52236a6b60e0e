# SPDX-License-Identifier: Apache-2.0
"""The hand-over of mattes: checks, a review report, versioned and verified publishing."""
