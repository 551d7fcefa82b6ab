"""Search for the settings that suit the data: trials on validation rows, proposed and pruned by Optuna."""

from cdvft_app.search.request import SearchRequest, parse_search

__all__ = ["SearchRequest", "parse_search"]
