"""The model format: model.fbs, the classes and readers generated from it, and the codec."""
