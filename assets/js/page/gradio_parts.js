// What Gradio's own components lack: names and invalid states for screen readers, Tab out of a dropdown, and a click
// that selects its text.

// Selectors of a form, and of the message that says what is wrong in it.
const FORMS = [
  ["#choose", "#counts .problem"],
  ["#cost-choose", "#costs .problem"],
  [".sweep-form", "#sweep-promise .problem"],
];

/** The cross of a chosen item is called "Remove 0": name the item. */
function nameCrosses() {
  const crosses = /** @type {NodeListOf<HTMLElement>} */ (
    document.querySelectorAll(".token > .token-remove")
  );
  for (const cross of crosses) {
    const name = `Remove ${cross.previousElementSibling?.textContent.trim()}`;
    if (cross.title !== name) cross.title = name;
    if (cross.ariaLabel !== name) cross.ariaLabel = name;
  }
}

/** "Batch size: got 1.5; it must be a whole number." marks the field of that label. */
function markInvalid() {
  for (const [form, place] of FORMS) {
    const message = document.querySelector(place)?.textContent ?? "";
    for (const field of document.querySelectorAll(`${form} .setting label input`)) {
      const label = field.closest("label")?.querySelector('[data-testid="block-info"]')?.textContent.trim();
      const invalid = message.includes(`${label}: got `) ? "true" : null;
      if (field.ariaInvalid !== invalid) field.ariaInvalid = invalid;
    }
  }
}

export function labelForScreenReaders() {
  const update = () => {
    nameCrosses();
    markInvalid();
  };
  new MutationObserver(update).observe(document.body, {
    childList: true,
    subtree: true,
    characterData: true,
  });
  update();
}

/**
 * @param {EventTarget | null} target
 * @returns {target is HTMLInputElement}
 */
const isDropdown = (target) => target instanceof HTMLInputElement && target.matches("input[role=combobox]");

export function improveDropdowns() {
  // Gradio takes any key for typing and opens the list again; where that scrolls, focus would get lost in it.
  window.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Tab" || !isDropdown(event.target)) return;
      event.stopPropagation();
      for (const list of /** @type {NodeListOf<HTMLElement>} */ (
        document.querySelectorAll("ul[role=listbox]")
      ))
        list.tabIndex = -1;
    },
    true,
  );

  // The keyboard selects the text by itself; a click sets the caret behind it.
  /** @type {HTMLInputElement | null} */
  let focused = null;
  window.addEventListener("focusin", (event) => {
    focused = isDropdown(event.target) ? event.target : null;
  });
  window.addEventListener("click", (event) => {
    if (focused && event.target === focused) focused.select();
    focused = null;
  });
}
