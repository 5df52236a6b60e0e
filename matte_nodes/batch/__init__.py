# SPDX-License-Identifier: Apache-2.0
"""Many stills by one command: a folder of pictures in, a folder of mattes out."""
