// Moving pulse checks: by dragging, or with M, the arrow keys and Enter. Without it each one has a page with a form.
const table = document.querySelector("[data-calendar]");
const form = document.querySelector("[data-cal-form]");
const said = document.querySelector("[data-cal-said]");
const days = [...table.querySelectorAll("[data-day]")];
let moving = null;
let target = null;

document.querySelector("[data-cal-hint]").hidden = false;

function aim(cell) {
  target?.classList.remove("is-target");
  target = cell;
  target?.classList.add("is-target");
}

function begin(contact) {
  moving = contact;
  contact.classList.add("is-moving");
}

function end(words = "") {
  moving?.classList.remove("is-moving");
  moving = null;
  aim(null);
  said.textContent = words;
}

function drop(cell) {
  if (!moving || !cell || cell.contains(moving)) return end();
  form.action = moving.dataset.move;
  form.elements.to.value = cell.dataset.day;
  form.submit();
}

for (const contact of document.querySelectorAll("[data-move]")) {
  contact.draggable = true;
  contact.setAttribute("aria-keyshortcuts", "M");
  contact.addEventListener("dragstart", (event) => {
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", contact.textContent.trim());
    begin(contact);
  });
  contact.addEventListener("dragend", () => end());
  contact.addEventListener("blur", () => { if (moving === contact && target) end("Not moved."); });
}

table.addEventListener("dragover", (event) => {
  const cell = event.target.closest("[data-day]");
  if (!moving || !cell) return aim(null);
  event.preventDefault();
  aim(cell);
});
table.addEventListener("drop", (event) => {
  event.preventDefault();
  drop(event.target.closest("[data-day]"));
});

// The next open day that many days on; over weekends and holidays in the direction of travel.
function step(from, count) {
  const wanted = new Date(`${from}T12:00:00Z`);
  wanted.setUTCDate(wanted.getUTCDate() + count);
  const iso = wanted.toISOString().slice(0, 10);
  return count > 0 ? days.find((day) => day.dataset.day >= iso) : days.findLast((day) => day.dataset.day <= iso);
}

const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const contact = event.target.closest?.("[data-move]");
  if (!contact || !days.length) return;
  if (!moving) {
    if (event.key.toLowerCase() !== "m") return;
    begin(contact);
    aim(contact.closest("[data-day]") ?? days[0]);
    said.textContent = `Moving ${contact.textContent.trim()}. ${target.dataset.words}. Arrow keys choose the day, Enter puts it there, Escape leaves it.`;
  } else if (event.key === "Enter") {
    drop(target);
  } else if (event.key === "Escape") {
    end("Not moved.");
  } else if (event.key in STEPS) {
    aim(step(target.dataset.day, STEPS[event.key]) ?? target);
    said.textContent = target.dataset.words;
  } else return;
  event.preventDefault();
});
