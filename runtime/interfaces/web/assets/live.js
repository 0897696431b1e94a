// The wall of live sources: their newest pictures, what is noticed and said, pausing and private regions.
import { $, api, bytes, clock, el, follow, kindMark, mediaTime, openMoment, sources } from "/assets/common.js";

const FEED = 40;
const views = new Map();
let paused = false, period = 500;

class View {
  constructor(label) {
    this.label = label;
    this.image = el("img", { alt: `What ${label} shows now`, draggable: "false" });
    this.why = el("p", { class: "why" }, "waiting for a picture …");
    this.about = el("span", { class: "muted" });
    this.picture = el("div", { class: "picture" }, this.image, this.why);
    this.figure = el(
      "figure", { class: "view" }, this.picture,
      el("figcaption", {}, el("b", {}, label), this.about, el("button", { type: "button", class: "quiet", onclick: () => editMask(label) }, "Mask …")),
    );
    this.seen = true;
    new IntersectionObserver(([entry]) => { this.seen = entry.isIntersecting; }).observe(this.figure);
  }

  async run() {
    for (;;) {
      const begun = performance.now();
      if (this.seen && document.visibilityState === "visible") await this.look();
      await new Promise((done) => setTimeout(done, Math.max(50, period - (performance.now() - begun))));
    }
  }

  async look() {
    try {
      const width = this.figure.clientWidth * Math.min(devicePixelRatio, 2) > 760 ? 1280 : 640;
      const response = await fetch(`/api/look?${new URLSearchParams({ source: this.label, width })}`, { signal: AbortSignal.timeout(8000) });
      if (response.status === 200) {
        const address = URL.createObjectURL(await response.blob());
        const before = this.image.src;
        const next = new Image();
        next.src = address;
        await next.decode().catch(() => {});
        this.image.src = address;
        if (before) URL.revokeObjectURL(before);
        [this.naturalWidth, this.naturalHeight] = [next.naturalWidth, next.naturalHeight];
        this.mark(JSON.parse(response.headers.get("x-marked") ?? "[]"));
        this.why.hidden = true;
        return;
      }
      this.tell(response.status === 204 ? (response.headers.get("x-why") === "paused" ? "paused" : "no picture at present") : "no picture");
    } catch {
      this.tell("not connected");
    }
  }

  tell(why) {
    this.why.hidden = false;
    this.why.textContent = why;
    this.mark([]);
  }

  // Boxes around what is noticed in the picture shown, in place of those of the picture before.
  mark(things) {
    this.picture.querySelectorAll(".box").forEach((mark) => mark.remove());
    // The picture is centred in its frame, whatever its shape.
    const { naturalWidth, naturalHeight } = this;
    const [wide, high] = [this.picture.clientWidth, this.picture.clientHeight];
    const scale = Math.min(wide / naturalWidth, high / naturalHeight);
    const [left, top] = [(wide - naturalWidth * scale) / 2, (high - naturalHeight * scale) / 2];
    for (const [name, x, y, width, height] of things) {
      const mark = el("div", { class: "box" }, el("span", {}, name));
      mark.style.left = `${left + x * naturalWidth * scale}px`;
      mark.style.top = `${top + y * naturalHeight * scale}px`;
      mark.style.width = `${width * naturalWidth * scale}px`;
      mark.style.height = `${height * naturalHeight * scale}px`;
      this.picture.append(mark);
    }
  }
}

function wall(labels) {
  for (const label of labels) {
    if (views.has(label)) continue;
    const view = new View(label);
    views.set(label, view);
    $("#wall").append(view.figure);
    view.run();
  }
  $("#pause").hidden = !labels.length;
  if (labels.length) $("#feeds").hidden = false;
}

function feed(list, items) {
  if (!items.length) return;
  $("#feeds").hidden = false;
  list.querySelector(".none")?.remove();
  list.prepend(...items);
  while (list.children.length > FEED) list.lastElementChild.remove();
}

function noticed(seen) {
  const when = seen.wall_s ? clock(seen.wall_s) : mediaTime(seen.t0_s);
  const open = el("button", { class: "link", type: "button", onclick: () => openMoment(seen) }, seen.text || "(no words understood)");
  return el("li", {}, el("span", { class: "when" }, when), el("span", {}, kindMark(seen.channel), open), el("span", { class: "more" }, seen.source.split("@")[0]));
}

function observations(found) {
  const items = found.filter((seen) => !["frame", "derived"].includes(seen.channel)).reverse();
  feed($("#heard"), items.filter((seen) => seen.channel === "speech").map(noticed));
  feed($("#seen"), items.filter((seen) => seen.channel !== "speech").map(noticed));
}

function partials(spoken) {
  $("#heard").querySelectorAll(".hypothesis").forEach((item) => item.remove());
  feed($("#heard"), spoken.filter((p) => p.text).map((p) => el("li", { class: "hypothesis" }, el("span", { class: "when" }, mediaTime(p.t0_s)), el("span", {}, `${p.text} …`))));
}

function health(found) {
  paused = Object.values(found.processes).some((process) => process.paused);
  $("#paused").hidden = !paused;
  $("#pause").textContent = paused ? "Go on" : "Pause";
  wall(found.live);
  for (const [label, view] of views) {
    const process = found.processes[`video:${label}`];
    const note = process?.notes.find((text) => text.startsWith(label));
    view.about.textContent = note ?? (process ? `${(process.counters.captured ?? 0).toLocaleString()} pictures, ${process.data_age_s.toFixed(1)} s old` : "");
  }
  const rows = Object.entries(found.processes).map(([name, process]) => {
    const drops = Object.values(process.drops).reduce((sum, n) => sum + n, 0);
    const what = process.ended ? "done" : process.paused ? "paused" : process.idle ? "idle" : "working";
    return el("tr", {}, el("th", { scope: "row" }, name), ...[what, mediaTime(process.media_s), process.idle ? "" : `${process.data_age_s.toFixed(1)} s`, bytes(process.rss_bytes), String(drops)].map((text) => el("td", {}, text)));
  });
  $("#processes").replaceChildren(...rows);
  showEmpty(found);
}

async function showEmpty(found) {
  const none = !found.live.length;
  $("#empty").hidden = !none;
  if (none && !$("#empty-more").textContent) {
    const known = found.memory.sources.length;
    const commands = [el("code", {}, `${document.body.dataset.program} live --serve`), " perceives cameras and microphones; ", el("code", {}, `${document.body.dataset.program} replay FILE --serve`), " a recording."];
    $("#empty-more").replaceChildren(known ? `Memory holds ${known === 1 ? "one source" : `${known} sources`}. ` : "Memory is empty. ", ...commands);
  }
}

$("#pause").addEventListener("click", async (event) => {
  event.target.disabled = true;
  try {
    await api(paused ? "/api/resume" : "/api/pause", { method: "POST" });
    paused = !paused;
    $("#paused").hidden = !paused;
    event.target.textContent = paused ? "Go on" : "Pause";
  } finally {
    event.target.disabled = false;
  }
});

// --- private regions --------------------------------------------------------------------------------

let regions = [], masked = "";

async function editMask(label) {
  masked = label;
  const all = await api("/api/masks");
  regions = (all.find((mask) => mask.source === label)?.mask ?? []).map((region) => [...region]);
  const image = $("#mask-canvas img");
  image.src = `/api/look?${new URLSearchParams({ source: label, width: 1280, t: Date.now() })}`;
  image.alt = `What ${label} shows`;
  $("#mask-title").textContent = `Private regions of ${label}`;
  drawMask();
  $("#mask").showModal();
}

function drawMask() {
  const canvas = $("#mask-canvas");
  canvas.querySelectorAll(".region").forEach((region) => region.remove());
  for (const [x, y, width, height] of regions) {
    const shown = el("div", { class: "region" });
    [shown.style.left, shown.style.top, shown.style.width, shown.style.height] = [x, y, width, height].map((part) => `${part * 100}%`);
    canvas.append(shown);
  }
  $("#mask-list").replaceChildren(...regions.map((region, n) => {
    const inputs = ["left", "top", "width", "height"].map((name, at) => el("label", {}, `${name} `, el("input", {
      type: "number", min: at < 2 ? 0 : 1, max: 100, value: Math.round(region[at] * 100),
      onchange: (event) => { region[at] = Math.min(1, Math.max(0, Number(event.target.value) / 100)); drawMask(); },
    })));
    return el("li", {}, ...inputs, el("button", { type: "button", class: "quiet", "aria-label": `Remove region ${n + 1}`, onclick: () => { regions.splice(n, 1); drawMask(); } }, "Remove"));
  }));
}

const canvas = $("#mask-canvas");
let from = null;
const place = (event) => {
  const area = canvas.getBoundingClientRect();
  return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height].map((part) => Math.min(1, Math.max(0, part)));
};
canvas.addEventListener("pointerdown", (event) => {
  from = place(event);
  regions.push([...from, 0, 0]);
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  if (!from) return;
  const [x, y] = place(event);
  regions[regions.length - 1] = [Math.min(x, from[0]), Math.min(y, from[1]), Math.abs(x - from[0]), Math.abs(y - from[1])];
  drawMask();
});
canvas.addEventListener("pointerup", () => {
  from = null;
  regions = regions.filter(([, , width, height]) => width > 0.01 && height > 0.01);
  drawMask();
});
$("#mask-add").addEventListener("click", () => { regions.push([0.4, 0.4, 0.2, 0.2]); drawMask(); $("#mask-list li:last-child input")?.focus(); });
$("#mask-save").addEventListener("click", async () => {
  await api("/api/masks", { method: "PUT", body: { source: masked, mask: regions.map((region) => region.map((part) => Number(part.toFixed(4)))) } });
  $("#mask").close();
});

// --- begin -------------------------------------------------------------------------------------------

$("#heard").append(el("li", { class: "none" }, "Nobody is heard at present."));
$("#seen").append(el("li", { class: "none" }, "Nothing new."));
follow({ health, observations, partials });
(async () => {
  const found = await api("/api/status");
  health(found);
  const newest = await api("/api/observations", { query: { newest: 1, channels: "object,text,speech,sound,gap", limit: 20, source: (await sources()).filter((source) => source.live).at(-1)?.source } });
  if (found.live.length) observations(newest.reverse());
})();
