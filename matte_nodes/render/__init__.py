# SPDX-License-Identifier: Apache-2.0
"""A shot written to files: writers, resume log, progress, contact sheet."""
