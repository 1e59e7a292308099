// Trying a model: what is typed, drawn or taken from files is sent, and the answers are shown side by side.

import { answer } from "./answers.js";
import { post } from "./asking.js";
import { drawable, pixels, scaled } from "./drawing.js";

const MOST_BYTES = 16 * 2 ** 20; // of all files of a request
const form = document.getElementById("ask");
const answers = document.getElementById("answers");
const fields = [...form.querySelectorAll("[data-field]")];
let drawings = {};

for (const field of fields) {
  for (const canvas of field.querySelectorAll("canvas")) {
    drawable(canvas);
    field.querySelector(".clear").addEventListener("click", () => canvas.clear());
  }
  for (const radio of field.querySelectorAll(".ways input")) {
    radio.addEventListener("change", () => {
      for (const way of field.querySelectorAll(".way")) way.hidden = way.dataset.way !== radio.value;
    });
  }
}

document.getElementById("signature").addEventListener("change", (event) => {
  const asked = new URLSearchParams(location.search);
  asked.set("signature", event.target.value);
  location.search = asked;
});

addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = document.getElementById("ask-button");
  mark([], "");
  button.disabled = true;
  try {
    const inputs = {};
    drawings = {};
    for (const field of fields) {
      const given = await read(field);
      if (given) inputs[field.dataset.field] = given;
    }
    const versions = [form.elements.first.value];
    if (form.elements.second.value !== "-") versions.push(form.elements.second.value);
    const content = { server: form.elements.server.value, signature: form.dataset.signature, versions, inputs };
    const told = await (await post(`/models/${encodeURIComponent(form.dataset.model)}/ask`, content)).json();
    answers.replaceChildren(...told.answers.map(answer));
    for (const one of told.answers) if (one.error) mark(one.fields, one.error);
    paste(told.paste);
  } catch (error) {
    if (error.fields?.length) mark(error.fields, error.message);
    else answers.replaceChildren(answer({ which: "", error: error.message }));
  }
  button.disabled = false;
});

/** What a field has, as the console reads it; nothing for one that is empty. */
async function read(field) {
  const way = [...field.querySelectorAll(".way")].find((one) => !one.hidden);
  const { height, width, channels } = field.dataset;
  const encoded = "encoded" in field.dataset;
  const scale = Number(field.querySelector(".scale")?.value || 1);
  if (way.dataset.way === "type") return { text: way.querySelector("textarea").value };
  if (way.dataset.way === "draw") {
    const small = scaled(way.querySelector("canvas"), Number(width), Number(height));
    if (!encoded) return { pixels: { values: pixels(small, Number(channels)), scale } };
    const png = await new Promise((resolve) => small.toBlob(resolve, "image/png"));
    drawings["drawing.png"] = png;
    return { b64: [await base64(png)], names: ["drawing.png"] };
  }
  const files = [...way.querySelector("input").files];
  if (!files.length) throw wrong(field, "Choose a file.");
  if (files.reduce((sum, file) => sum + file.size, 0) > MOST_BYTES) throw wrong(field, "Choose files of at most 16 MB together.");
  if (encoded || field.dataset.kind === "text") {
    return { b64: await Promise.all(files.map(base64)), names: files.map((file) => file.name) };
  }
  if (!files[0].type.startsWith("image/")) return { text: await files[0].text() };
  if (!Number(height)) throw wrong(field, "Choose a file of JSON or a table: this input is no picture.");
  try {
    const image = await createImageBitmap(files[0]);
    return { pixels: { values: pixels(scaled(image, Number(width), Number(height)), Number(channels)), scale } };
  } catch {
    throw wrong(field, `Choose an image that this browser can read. ${files[0].name} is none.`);
  }
}

function wrong(field, message) {
  return Object.assign(new Error(message), { fields: [field.dataset.field] });
}

async function base64(file) {
  const reader = new FileReader();
  await new Promise((resolve, reject) => {
    reader.onload = resolve;
    reader.onerror = reject;
    reader.readAsDataURL(file);
  });
  return reader.result.slice(reader.result.indexOf(",") + 1);
}

/** Say at the fields that are wrong what is wrong with them. */
function mark(names, message) {
  let first = true;
  for (const field of fields) {
    const is = names.includes(field.dataset.field);
    if (!is && names.length) continue;
    field.classList.toggle("is-wrong", is);
    field.querySelector(".wrong-field").textContent = is ? message : "";
    if (is && first) field.querySelector(".way:not([hidden]) :is(input, textarea, canvas)")?.focus();
    if (is) first = false;
  }
}

function paste(told) {
  const section = document.getElementById("paste");
  section.hidden = !told.curl;
  if (!told.curl) return;
  for (const place of section.querySelectorAll("[data-paste]")) place.textContent = told[place.dataset.paste];
  const files = { ...drawings };
  for (const [name, text] of Object.entries(told.files)) files[name] = new Blob([text], { type: "application/json" });
  const saved = document.getElementById("saved");
  for (const old of saved.querySelectorAll("a")) URL.revokeObjectURL(old.href);
  saved.replaceChildren();
  for (const [name, blob] of Object.entries(files)) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = link.textContent = name;
    saved.append("Save ", link, " ");
  }
}

document.getElementById("paste").addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const place = document.querySelector(`[data-paste="${button.dataset.copy}"]`);
  try {
    await navigator.clipboard.writeText(place.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(place); // a page that may not write into the clipboard: select it at least
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 1500);
});
