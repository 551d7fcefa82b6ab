"""Methods side by side on one model: quantities, how they grow, what is seen, what runs really took.

`quantities` and `sentences` read rows of a cost table and load nothing; the others ask `cdvft.cost`, and that
loads torch.
"""
