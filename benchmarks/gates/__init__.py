"""What the first gate stops: healthy weeks of real and generated data, and losses that are planted in them."""
