"""What the first gate stops: healthy weeks of real and generated data, and losses planted in them."""
