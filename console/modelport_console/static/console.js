// What every page has: values that change in place, shortcuts, and the search.

const say = document.getElementById("say");

/** Tell those who do not see the page. */
export function tell(text) {
  say.textContent = text;
}

/** Put new values where they stand; what did not change is not touched, so that focus and selection stay. */
function fill(region, cells) {
  for (const place of region.querySelectorAll("[data-live]")) {
    const value = cells[place.dataset.live];
    if (value === undefined || place.shown === value) continue;
    const before = place.textContent;
    place.innerHTML = place.shown = value;
    if (place.dataset.say && place.textContent !== before) tell(`${place.dataset.say}: ${place.textContent}`);
  }
}

/** Put a new region in the place of the old one: rows that are new light up, ticks and the focus stay. */
function replace(region, html) {
  const rows = new Set([...region.querySelectorAll("[data-row]")].map((row) => row.dataset.row));
  const ticked = new Set([...region.querySelectorAll("input:checked")].map((box) => box.value));
  const focused = region.contains(document.activeElement) ? keyOf(document.activeElement) : "";
  region.innerHTML = html;
  for (const row of region.querySelectorAll("[data-row]")) {
    if (rows.has(row.dataset.row)) continue;
    row.classList.add("new");
    tell(`New: ${row.dataset.row}`);
  }
  for (const box of region.querySelectorAll("input[type=checkbox]")) box.checked = ticked.has(box.value);
  if (focused) [...region.querySelectorAll("a, button, input")].find((one) => keyOf(one) === focused)?.focus();
  find?.dispatchEvent(new Event("input"));
}

function keyOf(element) {
  return [element.tagName, element.getAttribute("href"), element.getAttribute("aria-label"), element.id].join("|");
}

const region = document.getElementById("live");
if (region) {
  const lost = document.getElementById("connection");
  let source;
  const listen = () => {
    const asked = new URLSearchParams({ model: region.dataset.model, shape: region.dataset.shape });
    source = new EventSource(`/live?${asked}`);
    source.onopen = () => (lost.hidden = true);
    source.onerror = () => {
      lost.hidden = false;
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
    };
    source.onmessage = (event) => {
      lost.hidden = true;
      const told = JSON.parse(event.data);
      if (told.gone) {
        source.close();
        location.reload();
      } else if (told.region !== undefined) {
        region.dataset.shape = told.shape;
        replace(region, told.region);
      } else fill(region, told.cells);
    };
  };
  listen();
  // A page that nobody sees asks for nothing.
  document.addEventListener("visibilitychange", () => {
    source.close();
    if (!document.hidden) listen();
  });
  addEventListener("pagehide", () => source.close());
}

const find = document.getElementById("find");
find?.addEventListener("input", () => {
  const wanted = find.value.trim().toLowerCase();
  let count = 0;
  for (const row of document.querySelectorAll(".models tbody tr")) {
    row.hidden = !row.dataset.row.toLowerCase().includes(wanted);
    count += !row.hidden;
  }
  document.getElementById("found").textContent = wanted ? `${count} models` : "";
});

const findings = document.getElementById("findings");
if (findings) {
  const again = document.getElementById("examine");
  const look = async () => {
    again.disabled = true;
    findings.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch("/doctor/findings");
      if (!answer.ok) throw new Error((await answer.json()).error);
      findings.innerHTML = await answer.text();
    } catch (error) {
      findings.textContent = `The doctor could not look: ${error.message}`;
    }
    findings.setAttribute("aria-busy", "false");
    again.disabled = false;
  };
  again.addEventListener("click", look);
  look();
}

const help = document.getElementById("help");
document.getElementById("help-button").addEventListener("click", () => help.showModal());

let before = "";
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input, textarea, select, canvas")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const typed = before === "g" ? `g${event.key}` : event.key;
  before = event.key;
  const go = { gm: "/", gd: "/doctor", ga: "/api" }[typed];
  if (go) location.assign(go);
  else if (typed === "?") help.showModal();
  else if (typed === "t") document.getElementById("try")?.click();
  else if (typed === "/" && find) {
    event.preventDefault();
    find.focus();
  } else if (typed === "j" || typed === "k") step(typed === "j" ? 1 : -1);
});

function step(way) {
  const links = [...document.querySelectorAll("[data-row]:not([hidden]) th a, [data-row]:not([hidden]) input")];
  const place = links.indexOf(document.activeElement);
  links[Math.min(Math.max(place + way, 0), links.length - 1)]?.focus();
}
