"""Bias correction."""


def correct_biases(*a): ...
