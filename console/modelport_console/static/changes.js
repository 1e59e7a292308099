// Changes: what will happen is said first, then a reason is asked for, then the steps are shown as they go.

import { post } from "./asking.js";

const dialog = document.getElementById("change");
const form = document.getElementById("change-form");
const go = document.getElementById("change-go");
const close = document.getElementById("change-close");
const plan = document.getElementById("plan");
const steps = document.getElementById("steps");
const outcome = document.getElementById("outcome");
const command = document.getElementById("plan-command");
const base = `/models/${encodeURIComponent(form.dataset.model)}`;
let action = {};
let asked = 0;

const TITLES = {
  promote: (a) => (a.version ? `Promote version ${a.version}` : "Always the newest version"),
  label: (a) => `Label version ${a.version}`,
  unlabel: (a) => `Take the label ${a.label} away`,
  rollback: (a) => (a.label ? `Roll the label ${a.label} back` : "Roll back"),
  pin: (a) => `Pin version ${a.version}`,
  unpin: (a) => `Unpin version ${a.version}`,
  gc: () => "Collect old versions",
};

document.getElementById("live").addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (!button) return;
  const { action: kind, version, label } = button.dataset;
  action = { action: kind };
  if (version) action.version = Number(version);
  if (label) action.label = label;
  form.reset();
  document.getElementById("change-title").textContent = TITLES[kind](action);
  for (const part of form.querySelectorAll("[data-for]")) part.hidden = part.dataset.for !== kind;
  form.elements.label.required = kind === "label";
  for (const part of [steps, plan]) part.replaceChildren();
  steps.hidden = true;
  outcome.textContent = outcome.className = "";
  command.textContent = "";
  go.hidden = false;
  close.textContent = "Close";
  dialog.showModal();
  (kind === "label" ? form.elements.label : form.elements.why).focus();
  foresee();
});

/** The action with what was typed into the dialog. */
function current() {
  const whole = { ...action, why: form.elements.why.value };
  if (action.action === "label") {
    whole.label = form.elements.label.value.trim();
    whole.keep_unlabelled = form.elements.keep_unlabelled.checked;
  }
  if (action.action === "gc") whole.keep = form.elements.keep.valueAsNumber || 0;
  return whole;
}

async function foresee() {
  const number = ++asked;
  const whole = current();
  go.disabled = true;
  if (whole.action === "label" && !whole.label) return list(plan, ["Say which label."]);
  try {
    const told = await (await post(`${base}/plan`, whole)).json();
    if (number !== asked) return;
    list(plan, told.lines);
    command.textContent = told.command;
    go.disabled = false;
  } catch (error) {
    if (number !== asked) return;
    list(plan, [error.message]);
    plan.firstChild.className = "unready";
  }
}

let waiting;
form.addEventListener("input", (event) => {
  if (event.target.name === "why") return;
  clearTimeout(waiting);
  go.disabled = true; // until what will happen is known again
  asked++;
  waiting = setTimeout(foresee, 200);
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  go.disabled = close.disabled = true;
  steps.hidden = false;
  steps.replaceChildren();
  outcome.className = "";
  outcome.textContent = "Under way …";
  try {
    const answer = await post(`${base}/changes`, current());
    for await (const line of lines(answer.body)) {
      if (line.step) steps.append(item(line.step));
      else show(line.done ? "done" : "failed", line.done || line.failed);
    }
  } catch (error) {
    show("failed", `${error.message} What came of it, the history says.`);
  }
  close.disabled = false;
  close.focus();
});

function show(kind, text) {
  outcome.className = kind;
  outcome.textContent = text;
  go.hidden = kind === "done";
  go.disabled = false;
}

async function* lines(stream) {
  const decoder = new TextDecoder();
  let left = "";
  for await (const part of stream) {
    left += decoder.decode(part, { stream: true });
    const whole = left.split("\n");
    left = whole.pop();
    for (const line of whole) yield JSON.parse(line);
  }
}

function list(place, texts) {
  place.replaceChildren(...texts.map(item));
}

function item(text) {
  const made = document.createElement("li");
  made.textContent = text;
  return made;
}

close.addEventListener("click", () => dialog.close());
dialog.addEventListener("cancel", (event) => close.disabled && event.preventDefault());
