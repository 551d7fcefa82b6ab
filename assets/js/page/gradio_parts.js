// What Gradio's own parts do not say to a screen reader.

// Where a refusal stands, and whose fields it is about.
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
function markWrong() {
  for (const [form, place] of FORMS) {
    const said = document.querySelector(place)?.textContent ?? "";
    for (const field of document.querySelectorAll(`${form} .setting label input`)) {
      const label = field.closest("label")?.querySelector('[data-testid="block-info"]')?.textContent.trim();
      const wrong = said.includes(`${label}: got `) ? "true" : null;
      if (field.ariaInvalid !== wrong) field.ariaInvalid = wrong;
    }
  }
}

export function describeParts() {
  const all = () => {
    nameCrosses();
    markWrong();
  };
  new MutationObserver(all).observe(document.body, { childList: true, subtree: true, characterData: true });
  all();
}
