"""`python -m cdvft_app`: one file a command."""
