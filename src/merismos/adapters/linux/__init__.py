"""What only Linux has: its files under /proc and /sys."""
