// Lint rules for the app's scripts; `make check` runs them.

import { readdirSync } from "node:fs";
import js from "@eslint/js";

const SCRIPTS = "assets/js";
const folders = readdirSync(SCRIPTS, { withFileTypes: true }).filter((entry) => entry.isDirectory());

/** A folder holds the scripts of one tab. It imports from itself and from `shared`. */
const layering = folders.map(({ name }) => ({
  files: [`${SCRIPTS}/${name}/**/*.js`],
  rules: {
    "no-restricted-imports": [
      "error",
      {
        patterns: [
          {
            regex: `^(\\.\\./)+(?!\\.\\./|shared/|${name}/|\\w+\\.js$)`,
            message: "Import from this folder or shared/.",
          },
        ],
      },
    ],
  },
}));

export default [
  { ignores: [".venv/", "build/", "dist/", "assets/plotly/"] },
  js.configs.recommended,
  {
    rules: {
      "no-undef": "off", // tsc knows every name
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
    },
  },
  ...layering,
];
