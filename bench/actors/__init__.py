"""Actors without a network: updates against actors of Ray, what an idle one weighs, how fast they wake."""
