"""Which method to take for a model, a device and a wish: one sentence, one table, and what they rest on."""
