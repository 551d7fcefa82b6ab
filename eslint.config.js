// What eslint holds against the page's scripts; `make check` runs it.

import js from "@eslint/js";

export default [
  { ignores: [".venv/", "build/", "dist/"] },
  js.configs.recommended,
  {
    rules: {
      "no-undef": "off", // tsc knows every name, the browser's and Node's too
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
    },
  },
];
