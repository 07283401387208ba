// Runs before the first paint: tells Tabler which theme the system (or the person, by choice) wants.
// Without JavaScript the colours follow the system all the same, by color-scheme.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    let chosen = null;
    try { chosen = localStorage.getItem("mainstay-theme"); } catch { /* storage may be off */ }
    document.documentElement.dataset.bsTheme = chosen || (dark.matches ? "dark" : "light");
    document.dispatchEvent(new CustomEvent("mainstay:theme"));
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
})();
