// The header: the theme, the server's mode and device, and setup for all tabs.

import { appearance } from "../shared/theme.js";
import { find } from "../shared/dom.js";
import { report } from "../shared/part.js";
import { route } from "../shared/router.js";
import { setCookie, showServerMode } from "./server.js";
import { improveDropdowns, labelForScreenReaders } from "./gradio_parts.js";

/** @import { HeaderView, ServerMode, Servers } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

/** @param {Part<HeaderView, ServerMode, Servers["page/header"]>} part */
export function mount({ element, props, server, life }) {
  let asked = "";
  const rememberViewer = () => {
    const { token } = props.value;
    if (!token || token === asked) return;
    asked = token;
    server.viewer({ token }).then(
      (key) => setCookie("cdvft-viewer", key),
      () => {
        asked = "";
      },
    );
  };
  rememberViewer();
  find(element, ".theme-place").replaceChildren(appearance());
  showServerMode(find(element, ".mode-place"), props, server, life);
  window.addEventListener("error", ({ error }) => error && report(error, true));
  window.addEventListener("unhandledrejection", ({ reason }) => report(reason, true));
  improveDropdowns();
  route();
  labelForScreenReaders();
  // A GPU has a name that only torch knows, and to import it on the server would slow down the loading of the page.
  const chip = find(element, ".chip");
  setTimeout(
    () =>
      server.where({}).then(
        (text) => {
          chip.textContent = text;
        },
        () => {},
      ),
    2000,
  );
  return { update: rememberViewer };
}
