"""The paper's layouts: a representation and an instruction in one sequence, read by the backbone."""
