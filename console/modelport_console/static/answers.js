// An answer: bars of probabilities, a picture, or a table; or the server's words.

const SVG = "http://www.w3.org/2000/svg";
const MOST_BARS = 20; // shown, the highest first where there are more

/** The card of one version's answer. */
export function answer(told) {
  const card = make("article", { className: "answer" });
  const title = make("h2", {}, told.version ? `version ${told.version}` : told.which || "Refused");
  if (told.which && told.version && told.which !== String(told.version)) title.append(` (${told.which})`);
  if (told.ms !== undefined) title.append(make("span", { className: "ms" }, `${told.ms.toFixed(1)} ms`));
  card.append(title);
  if (told.error) card.append(make("p", { className: "words", role: "alert" }, told.error));
  for (const output of told.outputs || []) {
    card.append(make("h3", {}, `${output.name} [${output.shape.join(", ")}]`));
    output.rows.forEach((row, place) => {
      if (output.rows.length > 1 && output.kind !== "table") card.append(make("p", { className: "note" }, `row ${place + 1}`));
      card.append(SHOWN[output.kind](row, told.labels || []));
    });
    if (output.more) card.append(make("p", { className: "note" }, `… and ${output.more} more rows`));
  }
  return card;
}

const SHOWN = { bars, picture, table };

function bars(row, labels) {
  const order = row.map((value, place) => [value, place]);
  if (row.length > MOST_BARS) order.sort((one, other) => other[0] - one[0]).splice(MOST_BARS);
  const highest = Math.max(...row);
  const made = make("div", { className: "bars", role: "list" });
  for (const [value, place] of order) {
    const line = make("div", { role: "listitem", className: value === highest ? "top" : "" });
    const bar = document.createElementNS(SVG, "svg");
    const filled = document.createElementNS(SVG, "rect");
    bar.setAttribute("aria-hidden", "true");
    filled.setAttribute("width", `${value * 100}%`);
    filled.setAttribute("height", "100%");
    filled.setAttribute("rx", "2");
    bar.append(filled);
    const name = labels.length === row.length ? labels[place] : String(place);
    line.append(make("span", {}, name), bar, make("span", { className: "value" }, `${(value * 100).toFixed(1)} %`));
    made.append(line);
  }
  return made;
}

function picture(row) {
  const flat = row.flat(3);
  const channels = Array.isArray(row[0][0]) ? row[0][0].length : 1;
  const canvas = make("canvas", { width: row[0].length, height: row.length });
  const [low, high] = [Math.min(...flat), Math.max(...flat)];
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(canvas.width, canvas.height);
  for (let place = 0; place < canvas.width * canvas.height; place++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = flat[place * channels + (channels === 3 ? channel : 0)];
      image.data[place * 4 + channel] = high > low ? ((value - low) / (high - low)) * 255 : 0;
    }
    image.data[place * 4 + 3] = 255;
  }
  pen.putImageData(image, 0, 0);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `A picture of values from ${low} to ${high}`);
  const figure = make("figure", {});
  figure.append(canvas, make("figcaption", { className: "note" }, `black is ${low}, white is ${high}`));
  return figure;
}

function table(row) {
  const made = make("table", {});
  const rows = Array.isArray(row) ? (Array.isArray(row[0]) ? row : [row]) : [[row]];
  for (const cells of rows) {
    const line = made.insertRow();
    for (const cell of cells) line.insertCell().textContent = Array.isArray(cell) ? JSON.stringify(cell) : String(cell);
  }
  const scroll = make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Values" });
  scroll.append(made);
  return scroll;
}

function make(name, properties, text) {
  const made = Object.assign(document.createElement(name), properties);
  if (text !== undefined) made.textContent = text;
  return made;
}
