# SPDX-License-Identifier: Apache-2.0
"""Training: procedural foregrounds, composition routes, losses, recipes, the trainer.

`trainer.train(network, plan, folder)` is the core; `run.run(recipe, folder)` does what a recipe
says. Nothing here is imported by a node that only mattes.
"""
