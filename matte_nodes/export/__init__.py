# SPDX-License-Identifier: Apache-2.0
"""Models written for other programs: ONNX files and Nuke's .cat."""
