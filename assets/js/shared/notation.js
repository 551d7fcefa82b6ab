// Indices and amounts as they are set in books.

/** The digits of a number as an index: 12 becomes ₁₂. */
export const subscript = (number) => String(number).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);

/** Words in which no line ends before a percent sign or within "m = 2". */
export const unbroken = (text) => text.replace(/(\d) %/g, "$1\u00a0%").replace(/\b([a-z]) = (?=\d)/g, "$1\u00a0=\u00a0");
