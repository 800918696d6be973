"""Recipes: a run, written down as YAML. Every shipped bundle is one of them."""

from mien.recipes.loading import load_recipe, recipe_names
from mien.recipes.schema import Augment, Recipe

__all__ = ["Augment", "Recipe", "load_recipe", "recipe_names"]
