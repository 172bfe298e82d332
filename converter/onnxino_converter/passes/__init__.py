"""Graph passes: each is named, small, takes the graph and returns whether it changed it."""
