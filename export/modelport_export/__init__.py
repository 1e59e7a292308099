"""A trained Keras model to a proven, versioned SavedModel."""
