// Fixes for Gradio's dropdowns: Tab moves to the next field, and a click selects the text to type over.

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
