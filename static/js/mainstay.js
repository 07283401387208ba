// Small conveniences over pages that work without them.

/** The colour a design token has now, as the browser resolves it (light-dark() included). */
export function token(name) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.setAttribute("class", "token-probe");
  document.body.append(probe);
  probe.style.color = `var(--ms-${name})`;
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

// One open menu at a time; a click elsewhere or Escape closes it.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.chip-menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = event.target.closest?.("details.chip-menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// Printing is the browser's; the button only shows where there is one.
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

import("./palette.js");
import("./keys.js");
