"""CDVFT Studio: train, measure, see and take home circulant-diagonal fine-tuning."""
