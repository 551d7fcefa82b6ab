"""The JSON that Python sends to the page's scripts, as TypedDicts, a module a tab.

`python -m cdvft_app.ui.typescript` writes their types for the scripts; a test checks that they are
current.
"""
