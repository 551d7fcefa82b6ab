"""What a method costs on a model before anything is trained: parameters, FLOPs, memory, and how they grow."""
