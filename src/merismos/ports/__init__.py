"""What a core needs from the world, one Protocol a file."""
