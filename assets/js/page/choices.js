// Gradio's dropdowns: Tab goes on to the next field, and what is typed replaces the name that was chosen.

/**
 * @param {EventTarget | null} target
 * @returns {target is HTMLInputElement}
 */
const isChoice = (target) => target instanceof HTMLInputElement && target.matches("input[role=combobox]");

export function tendChoices() {
  // Gradio takes any key for typing and opens the list again; where that scrolls, focus would get lost in it.
  window.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Tab" || !isChoice(event.target)) return;
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
  let entered = null;
  window.addEventListener("focusin", (event) => {
    entered = isChoice(event.target) ? event.target : null;
  });
  window.addEventListener("click", (event) => {
    if (entered && event.target === entered) entered.select();
    entered = null;
  });
}
