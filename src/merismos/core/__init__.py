"""The deciding half of Merismos: pure machines that take `(event, now)` and return effects (L1)."""
