"""What crosses from Python to the page's scripts, defined here alone, a module a tab.

`python -m cdvft_app.payloads.typescript` writes their types for the scripts; a test holds them current.
"""
