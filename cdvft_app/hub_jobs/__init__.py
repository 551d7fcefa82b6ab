"""Runs that train as Jobs of the Hugging Face hub, on their owner's account."""
