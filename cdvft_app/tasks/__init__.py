"""What can be learned: one file a task, from a dataset's rows to predictions. base.py says what a task is."""
