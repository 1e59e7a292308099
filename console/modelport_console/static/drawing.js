// A field to draw in, white on black, and the pixels that a model takes.

const BRUSH = 0.085; // of the field's width: what a pen is on an image of a digit

/** Let a canvas be drawn into by pointer and keyboard. */
export function drawable(canvas) {
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  let last = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * canvas.width, ((event.clientY - box.top) / box.height) * canvas.height];
  };
  const line = (from, to) => {
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = "#fff";
    pen.lineWidth = canvas.width * BRUSH;
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
    canvas.dataset.drawn = "1";
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = at(event);
    line(last, last);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (last === null) return;
    const here = at(event);
    line(last, here);
    last = here;
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (last = null));
  byKeys(canvas, line);
  canvas.clear = () => {
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    delete canvas.dataset.drawn;
  };
  canvas.clear();
}

/** Arrows move a point, space sets the pen down and lifts it. */
function byKeys(canvas, line) {
  const point = [canvas.width / 2, canvas.height / 2];
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  let down = false;
  canvas.addEventListener("keydown", (event) => {
    const way = ways[event.key];
    if (!way && event.key !== " ") return;
    event.preventDefault();
    const before = [...point];
    if (way) {
      point[0] = Math.min(Math.max(point[0] + way[0] * 8, 0), canvas.width);
      point[1] = Math.min(Math.max(point[1] + way[1] * 8, 0), canvas.height);
    } else down = !down;
    if (down) line(before, point);
  });
}

/** A drawing or an image at the size of the model, as a canvas. */
export function scaled(source, width, height) {
  // Halved again and again, so that every pixel of the source counts.
  let [from, w, h] = [source, source.width, source.height];
  for (;;) {
    const next = document.createElement("canvas");
    next.width = Math.max(width, Math.ceil(w / 2));
    next.height = Math.max(height, Math.ceil(h / 2));
    const pen = next.getContext("2d", { willReadFrequently: true });
    pen.imageSmoothingQuality = "high";
    pen.drawImage(from, 0, 0, next.width, next.height);
    [from, w, h] = [next, next.width, next.height];
    if (w === width && h === height) return next;
  }
}

/** The pixels, 0 to 255: one value of grey each, or the first channels. */
export function pixels(canvas, channels) {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const values = [];
  for (let place = 0; place < data.length; place += 4) {
    const [red, green, blue] = data.subarray(place, place + 3);
    if (channels === 3) values.push(red, green, blue);
    else values.push(Math.round(0.299 * red + 0.587 * green + 0.114 * blue));
  }
  return values;
}
