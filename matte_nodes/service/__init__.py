# SPDX-License-Identifier: Apache-2.0
"""The hot service: one local process keeps models loaded for Nuke, Blender and the command line."""

from matte_nodes.service.client import Client, ServiceError, ServiceGoneError

__all__ = ["Client", "ServiceError", "ServiceGoneError"]
