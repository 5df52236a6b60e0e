# SPDX-License-Identifier: Apache-2.0
"""Hand-over of mattes: checks, a review report, and versions that are never replaced."""
