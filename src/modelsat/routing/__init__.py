"""From scores, prices and a policy to a choice."""
