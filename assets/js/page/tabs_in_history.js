// Back and forward also lead to the tab that an address names: pages of tabs put entries into the history.

/** Select the tab of the address whenever the browser goes back or forward. */
export function followHistory() {
  window.addEventListener("popstate", () => {
    const tab = new URL(location.href).searchParams.get("tab");
    const button = tab && document.getElementById(`tab-${tab}-button`);
    if (button && button.getAttribute("aria-selected") !== "true") button.click();
  });
}
