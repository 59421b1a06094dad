"""The networks in torch: backbone, text encoder, exam attention, students, adapters and the paper's layouts."""
