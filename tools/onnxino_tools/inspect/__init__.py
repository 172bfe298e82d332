"""`onnxino inspect`: what is in a model, what runs how on a device, and what cannot run there and why."""
