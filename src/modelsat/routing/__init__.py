"""From scores, prices and a policy to a choice; and the baselines that a router has to beat."""
