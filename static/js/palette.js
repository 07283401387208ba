// Ctrl+K: find an account, a person or a page without leaving the keyboard. The search field works without it.
const field = document.querySelector("[data-palette]");
let dialog, input, list, options = [], current = 0, asked = 0;

function build() {
  dialog = document.createElement("dialog");
  dialog.className = "panel";
  dialog.setAttribute("aria-label", "Find");
  input = Object.assign(document.createElement("input"), {
    className: "palette-input", type: "text", placeholder: field.placeholder, autocomplete: "off", spellcheck: false,
  });
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list", "aria-label": field.placeholder,
  })) input.setAttribute(name, value);
  list = document.createElement("div");
  list.className = "palette-list";
  list.id = "palette-list";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Found");
  dialog.append(input, list);
  document.body.append(dialog);
  let timer;
  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 120); });
  input.addEventListener("keydown", walk);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

async function ask() {
  const mine = ++asked;
  const url = new URL("suggest/", new URL(field.form.action, location.href));
  url.searchParams.set("q", input.value);
  const response = await fetch(url, { headers: { Accept: "application/json" } });
  if (!response.ok || mine !== asked) return;
  show((await response.json()).groups);
}

function show(groups) {
  options = [];
  const parts = groups.map(({ title, rows }) => {
    const group = document.createElement("div");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", title);
    const head = Object.assign(document.createElement("div"), { className: "head", textContent: title });
    head.setAttribute("aria-hidden", "true");
    group.append(head, ...rows.map(option));
    return group;
  });
  if (!parts.length) {
    parts.push(Object.assign(document.createElement("div"), { className: "head", textContent: "Nothing found. Enter searches everything." }));
  }
  list.replaceChildren(...parts);
  select(0);
}

function option({ label, hint, href }) {
  const row = document.createElement("div");
  row.setAttribute("role", "option");
  row.id = `palette-${options.length}`;
  row.dataset.href = href;
  row.append(Object.assign(document.createElement("span"), { textContent: label }));
  if (hint) row.append(Object.assign(document.createElement("span"), { className: "small", textContent: hint }));
  const place = options.length;
  row.addEventListener("mousemove", () => select(place));
  row.addEventListener("click", () => location.assign(href));
  options.push(row);
  return row;
}

function select(place) {
  options[current]?.setAttribute("aria-selected", "false");
  current = place;
  const row = options[current];
  row?.setAttribute("aria-selected", "true");
  row?.scrollIntoView({ block: "nearest" });
  if (row) input.setAttribute("aria-activedescendant", row.id);
  else input.removeAttribute("aria-activedescendant");
}

function walk(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && options.length) {
    event.preventDefault();
    select((current + step + options.length) % options.length);
  } else if (event.key === "Enter") {
    event.preventDefault();
    const searched = `${field.form.action}?q=${encodeURIComponent(input.value)}`;
    location.assign(options[current]?.dataset.href ?? searched);
  }
}

if (field) {
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (!dialog) build();
      if (dialog.open) return dialog.close();
      input.value = field.value;
      dialog.showModal();
      input.select();
      ask();
    }
  });
}
