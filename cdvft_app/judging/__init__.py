"""What runs and costs say: who is ahead, by how much, how surely, and the sentences made of it."""
