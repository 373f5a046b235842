"""What an operator asks and orders."""
