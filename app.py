"""The page: python app.py, and what a Hugging Face Space starts."""

from __future__ import annotations

if __name__ == "__main__":  # the processes that train import this file again, and must not import the page
    import gc

    gc.disable()  # until `main` has the page up: looking through what is imported takes a seventh of the time
    from cdvft_app.ui.serving import main

    main()
