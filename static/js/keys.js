// Keys in lists: j and k walk, Enter opens, x ticks, / finds, ? lists them. They can be switched off for good.
const OFF = "mainstay-keys-off";
const KEYS = [
  ["Ctrl K", "find an account, a person, a page"],
  ["/", "go to the search field"],
  ["j", "next row"], ["k", "row before"],
  ["Enter", "open the row"], ["x", "tick the row"],
  ["g then t", "today"], ["g then r", "at risk"], ["g then a", "accounts"],
  ["?", "this list"],
];
const PLACES = { t: "/", r: "/at-risk/", a: "/accounts/" };

const stored = { get off() { try { return localStorage.getItem(OFF) === "1"; } catch { return false; } } };
let row = -1, going = 0;
const rows = () => [...document.querySelectorAll("[data-row]")];

function move(step) {
  const all = rows();
  if (!all.length) return;
  all[row]?.classList.remove("is-current");
  row = Math.min(Math.max(row + step, 0), all.length - 1);
  all[row].classList.add("is-current");
  all[row].scrollIntoView({ block: "nearest" });
  all[row].querySelector("[data-open]")?.focus({ preventScroll: true });
}

function isTyping(target) {
  return target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog");
}

function listKeys() {
  let dialog = document.querySelector("#keys");
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.id = "keys";
    dialog.className = "panel";
    dialog.setAttribute("aria-label", "Keys");
    const box = Object.assign(document.createElement("div"), { className: "keys" });
    const facts = Object.assign(document.createElement("dl"), { className: "kv" });
    for (const [key, does] of KEYS) {
      const value = document.createElement("dd");
      value.append(Object.assign(document.createElement("kbd"), { textContent: key }));
      facts.append(Object.assign(document.createElement("dt"), { textContent: does }), value);
    }
    const label = Object.assign(document.createElement("label"), { className: "small mt-3 d-block" });
    const tick = Object.assign(document.createElement("input"), { type: "checkbox", className: "form-check-input", checked: stored.off });
    tick.addEventListener("change", () => { try { localStorage.setItem(OFF, tick.checked ? "1" : "0"); } catch { /* storage may be off */ } });
    label.append(tick, " Single keys off (Ctrl K and ? stay)");
    box.append(Object.assign(document.createElement("h2"), { textContent: "Keys" }), facts, label);
    dialog.append(box);
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    document.body.append(dialog);
  }
  dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (event.key === "?") return listKeys();
  if (stored.off) return;
  if (Date.now() - going < 1200 && PLACES[event.key]) return location.assign(PLACES[event.key]);
  going = event.key === "g" ? Date.now() : 0;
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "x") rows()[row]?.querySelector("[data-pick]")?.click();
  else if (event.key === "/") { event.preventDefault(); document.querySelector("[data-palette]")?.focus(); }
});

// Ticking rows: how many, and all at once.
const bulk = document.querySelector("[data-bulk]");
if (bulk) {
  const ticks = [...document.querySelectorAll("[data-pick]")];
  const all = bulk.querySelector("[data-pick-all]");
  const said = bulk.querySelector("[data-picked]");
  const before = said.textContent;
  const count = () => {
    const n = ticks.filter((tick) => tick.checked).length;
    said.textContent = n ? `${n} ticked:` : before;
    all.checked = n === ticks.length;
    all.indeterminate = n > 0 && n < ticks.length;
  };
  all.hidden = false;
  all.setAttribute("aria-label", "Tick all shown");
  all.addEventListener("change", () => { for (const tick of ticks) tick.checked = all.checked; count(); });
  for (const tick of ticks) tick.addEventListener("change", count);
  count();
}
