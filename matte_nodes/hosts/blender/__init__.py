# SPDX-License-Identifier: Apache-2.0
"""The Blender add-on: builds its zip file, installs it into Blender and checks the installation."""
