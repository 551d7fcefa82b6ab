"""The page: python app.py, and what a Hugging Face Space starts; --cluster ADDRESS is CDVFT_CLUSTER."""

from __future__ import annotations

if __name__ == "__main__":  # the processes that train import this file again, and must not import the page
    import gc
    import os
    import sys

    gc.disable()  # until `main` has the page up: looking through what is imported takes a seventh of the time
    if sys.argv[1:2] == ["--cluster"]:
        os.environ["CDVFT_CLUSTER"] = (sys.argv[2:] or ["auto"])[0]
    from cdvft_app.ui.serving import main

    main()
