"""What each fine-tuning method is: its settings, limits, costs and looks."""
