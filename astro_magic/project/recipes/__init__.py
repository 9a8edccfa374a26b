"""Ways to give an image what its build needs and must not keep."""
