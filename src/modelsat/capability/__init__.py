"""What candidates can do: the aptitude test, its results in words and cards, and the zoo."""
