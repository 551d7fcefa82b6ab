// The chart library that is committed for those without Node is the one of package-lock.json, to the byte.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../", import.meta.url);

for (const name of ["plotly-basic.min.js", "LICENSE"])
  test(`assets/plotly/${name} is npm's`, () => {
    const [committed, packed] = ["assets/plotly", "node_modules/plotly.js-basic-dist-min"].map((folder) =>
      readFileSync(new URL(`${folder}/${name}`, ROOT)),
    );
    assert.ok(committed.equals(packed), "copy it anew: CONTRIBUTING.md says how");
  });
