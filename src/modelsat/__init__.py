"""Model-SAT: route each instruction to the model most likely to get it right."""
