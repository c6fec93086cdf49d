"""Recipes: how a network is trained, as data."""

from residua.training.recipes.description import CONDITIONAL as CONDITIONAL
from residua.training.recipes.description import Recipe as Recipe
from residua.training.recipes.named import RECIPES as RECIPES
from residua.training.recipes.named import recipe as recipe
