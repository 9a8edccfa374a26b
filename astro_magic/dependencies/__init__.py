"""What is installed, and why: what requests it, what needs it, what imports it."""
