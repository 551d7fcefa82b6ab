// What eslint holds against the page's scripts; `make check` runs it.

import js from "@eslint/js";

export default [
  { ignores: [".venv/", "build/", "dist/", "assets/plotly/"] },
  js.configs.recommended,
  {
    rules: {
      "no-undef": "off", // tsc knows every name
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }], // what a drawing may be given and need not use
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
    },
  },
];
