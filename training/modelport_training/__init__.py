"""Data to a trained Keras model: recipes, datasets, fit."""
