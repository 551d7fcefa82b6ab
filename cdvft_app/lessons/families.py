"""What the lab calls each family of matrices that it fits, in its sentence, its chart and its table."""

FAMILIES = {
    "circulant_diagonal": "circulant-diagonal factors",
    "diagonal_blocks": "blocks between diagonals",
    "low_rank": "low rank",
    "fourier": "chosen Fourier entries",
    "fourierft": "random Fourier entries",
    "block_circulant": "circulant blocks",
}
"""The families' titles, in the order in which they are shown."""
