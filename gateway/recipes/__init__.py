"""Recipes: versions of a product's limits and regions, and what a new one would change."""
