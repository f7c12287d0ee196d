"""What is stored: immutable values and the definitions. No input or output."""
