"""The words of the lessons, in their order: for a reader who knows matrices and has not met the FFT."""

from cdvft_app.ui.learn.lesson_texts.circulant import CIRCULANT
from cdvft_app.ui.learn.lesson_texts.fft import FFT
from cdvft_app.ui.learn.lesson_texts.forms import BLOCKS, REACH, SHAPES
from cdvft_app.ui.learn.lesson_texts.lesson import Choice, Estimate, Lesson, Question, RealLayer, Task
from cdvft_app.ui.learn.lesson_texts.rank import RANK
from cdvft_app.ui.learn.lesson_texts.training import BREAKING, START

LESSONS: tuple[Lesson, ...] = (CIRCULANT, RANK, FFT, REACH, BLOCKS, START, BREAKING, SHAPES)

__all__ = ["LESSONS", "Choice", "Estimate", "Lesson", "Question", "RealLayer", "Task"]
