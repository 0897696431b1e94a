// A stretch of a source as a strip of pictures with lanes for what was noticed; zoom, move, jump, play.
// What is shown is a recording, or a camera with all its sessions; times are seconds since it (or the first) began.
import { $, api, clock, day, el, follow, kindMark, mediaTime, openMoment, sourceName, sources } from "/assets/common.js";

const LANES = ["speech", "text", "object", "sound"];
const LANE_NAMES = { speech: "said", text: "written", object: "things", sound: "sounds" };
const SHORTEST_S = 10;
const params = new URLSearchParams(location.search);
let known = [], source = null, from = 0, to = 60, selected = 0, asked = 0;

const length = () => Math.max(source.until_s, 1);
const days = () => {
  if (!source.started_wall_s) return [];
  const found = [];
  const first = new Date(source.started_wall_s * 1000);
  let begin = new Date(first.getFullYear(), first.getMonth(), first.getDate()).getTime() / 1000;
  while (begin < source.started_wall_s + length()) {
    found.push(begin - source.started_wall_s);
    const next = new Date(begin * 1000);
    begin = new Date(next.getFullYear(), next.getMonth(), next.getDate() + 1).getTime() / 1000;
  }
  return found;
};
const when = (t) => (source.kind !== "file" && source.started_wall_s ? clock(source.started_wall_s + t) : mediaTime(t));

// Recordings as they are; of each camera one, with its sessions in order.
function shownOf(all) {
  const cameras = new Map();
  for (const one of all) if (one.kind !== "file") cameras.set(one.label, [...(cameras.get(one.label) ?? []), one]);
  return [
    ...[...cameras].map(([label, sessions]) => {
      sessions.sort((a, b) => a.started_wall_s - b.started_wall_s);
      const began = sessions[0].started_wall_s;
      const until = Math.max(...sessions.map((one) => one.started_wall_s + one.until_s));
      return { key: `camera:${label}`, name: label, kind: sessions[0].kind, started_wall_s: began, until_s: until - began, sessions };
    }),
    ...all.filter((one) => one.kind === "file").map((one) => ({ key: one.source, name: sourceName(one), kind: one.kind, started_wall_s: one.started_wall_s, until_s: one.until_s, sessions: [one] })),
  ];
}

// Where a session begins in what is shown.
const offset = (session) => (source.kind === "file" ? 0 : session.started_wall_s - source.started_wall_s);

function open(t, length, text = "") {
  const session = source.sessions.findLast((one) => offset(one) <= t) ?? source.sessions[0];
  const begin = Math.max(0, t - offset(session));
  openMoment({ source: session.source, t0_s: begin, t1_s: begin + length, text });
}

function choose(of) {
  source = of;
  $("#source").value = source.key;
  const begins = days();
  $("#day-field").hidden = begins.length < 2;
  $("#day").replaceChildren(el("option", { value: "" }, "all"), ...begins.map((begin) => el("option", { value: begin }, day(source.started_wall_s + begin + 43200))));
  // Of a camera of several days the newest.
  if (source.kind === "file" || begins.length < 2) return show(0, length());
  $("#day").value = begins.at(-1);
  show(Math.max(0, begins.at(-1)), length());
}

function show(begin, end) {
  const span = Math.min(Math.max(end - begin, SHORTEST_S), Math.max(length(), SHORTEST_S));
  from = Math.max(0, Math.min(begin, length() - span));
  to = from + span;
  draw();
}

async function draw() {
  const mine = ++asked;
  const strip = $("#strip");
  const buckets = Math.max(6, Math.min(48, Math.floor(strip.clientWidth / 84)));
  const base = source.kind === "file" ? 0 : source.started_wall_s;
  const of = source.kind === "file" ? { source: source.key } : { camera: source.name };
  const found = await api("/api/timeline", { query: { ...of, t0_s: base + from, t1_s: base + to, buckets } });
  if (mine !== asked) return;
  found.gaps = found.gaps.map(([begin, end, why]) => [begin - base, end - base, why]);
  found.events = found.events.map((event) => ({ ...event, t0_s: event.t0_s - base, t1_s: event.t1_s - base }));
  const date = source.started_wall_s ? `${day(source.started_wall_s + from)}, ` : "";
  $("#range").textContent = `${date}${when(from)} to ${when(to)}`;
  $("#jump-to").placeholder = source.kind === "file" ? "12:30" : "14:30";
  const width = (to - from) / buckets;
  selected = Math.min(selected, buckets - 1);
  strip.replaceChildren(...Array.from({ length: buckets }, (_, n) => cell(found, n, from + n * width, width)));
  events(found);
}

function cell(found, n, t, width) {
  const gap = found.gaps.filter(([begin, end]) => begin < t + width && end > t).sort((a, b) => b[1] - b[0] - (a[1] - a[0]))[0];
  const erased = gap && /erased/.test(gap[2]);
  const counts = LANES.map((lane) => found.counts[lane]?.[n] ?? 0);
  const told = LANES.filter((_, at) => counts[at]).map((lane) => `${counts[LANES.indexOf(lane)]} ${LANE_NAMES[lane]}`).join(", ");
  const thumb = el("span", { class: "thumb" });
  // Where nothing changed no picture was kept: the one before still shows what was there.
  const before = !found.pictures[n] && !gap ? found.pictures.slice(0, n).findLast(Boolean) : "";
  thumb.classList.toggle("before", Boolean(before));
  if (found.pictures[n] || before) {
    const image = el("img", { src: `/api/frame?${new URLSearchParams({ id: found.pictures[n] || before })}`, alt: "", loading: "lazy" });
    image.addEventListener("error", () => image.remove());
    thumb.append(image);
  }
  const lanes = el("span", { class: "lanes" }, ...LANES.map((lane, at) => {
    const bar = el("i", { class: `${lane}${counts[at] ? " on" : ""}` });
    if (counts[at]) bar.style.opacity = String(Math.min(1, 0.45 + Math.log2(1 + counts[at]) / 5));
    return bar;
  }));
  const label = `${when(t)}: ${told || "nothing noticed"}${gap ? `; ${gap[2]}` : ""}`;
  return el(
    "button",
    {
      type: "button", class: `cell${gap ? (erased ? " erased" : " gap") : ""}`, tabindex: n === selected ? 0 : -1, "aria-label": label, title: label, "data-t": t,
      onclick: () => { selected = n; open(t, Math.min(width, 30)); },
      onfocus: () => { selected = n; },
    },
    thumb, lanes, el("span", { class: "at" }, n % 2 ? "" : when(t)),
  );
}

function events(found) {
  const items = [
    ...found.events.map((event) => ({ t0_s: event.t0_s, t1_s: event.t1_s, text: event.text, kind: "", stage: event.stage })),
    ...found.gaps.map(([t0_s, t1_s, why]) => ({ t0_s, t1_s, text: why, kind: "gap" })),
  ].sort((a, b) => a.t0_s - b.t0_s);
  $("#events").replaceChildren(...items.slice(0, 400).map((item) => {
    const stages = { sketch: "some of its pictures are kept", pointer: "its pictures are not kept any more", tombstone: "nothing of it is kept any more" };
    return el(
      "li", {},
      el("span", { class: "when" }, when(item.t0_s)),
      el("span", {}, item.kind && kindMark(item.kind), item.kind ? item.text : el("button", { class: "link", type: "button", onclick: () => open(item.t0_s, 10, parts(item.text)[0]?.[1] ?? "") }, told(item))),
      stages[item.stage] && el("span", { class: "more" }, stages[item.stage]),
    );
  }));
  if (!items.length) $("#events").append(el("li", { class: "none" }, "Nothing was noticed in this stretch."));
}

// An event's words, "seen: … | read: … | said: …": what was said and read first.
const ORDER = ["said", "read", "heard", "seen"];
const MARKS = { said: "speech", read: "text", heard: "sound", seen: "frame" };
function parts(text) {
  return text.split(" | ").map((part) => part.match(/^(said|read|heard|seen): (.*)$/s)?.slice(1) ?? ["seen", part]).filter(([, words]) => words).sort((a, b) => ORDER.indexOf(a[0]) - ORDER.indexOf(b[0]));
}

function told(item) {
  const found = parts(item.text);
  if (!found.length) return `until ${when(item.t1_s)}`;
  return el("span", { class: "parts" }, ...found.map(([how, words]) => el("span", { class: how === "seen" ? "muted" : "" }, kindMark(MARKS[how]), shorten(words))));
}

const shorten = (text) => (text.length > 220 ? `${text.slice(0, 219)}…` : text);

function zoom(factor, around = (from + to) / 2) {
  const span = (to - from) * factor;
  show(around - (around - from) * factor, around - (around - from) * factor + span);
}

function jump(typed) {
  const parts = typed.trim().split(":").map(Number);
  if (!typed.trim() || parts.some(Number.isNaN)) return;
  let t;
  if (source.kind !== "file" && source.started_wall_s && parts.length >= 2) {
    // A time of day: of the day shown.
    const shown = new Date((source.started_wall_s + from) * 1000);
    t = new Date(shown.getFullYear(), shown.getMonth(), shown.getDate(), parts[0], parts[1], parts[2] ?? 0).getTime() / 1000 - source.started_wall_s;
  } else {
    t = parts.reduce((sum, part) => sum * 60 + part, 0);
  }
  around(Math.min(Math.max(0, t), length()));
}

async function around(t) {
  const span = Math.min(to - from, 120);
  from = Math.max(0, Math.min(t - span / 2, length() - span));
  to = from + Math.max(span, SHORTEST_S);
  await draw();
  const cells = [...$("#strip").children];
  const at = cells.findLastIndex((one) => Number(one.dataset.t) <= t);
  cells[Math.max(0, at)]?.focus();
}

$("#source").addEventListener("change", (event) => choose(known.find((one) => one.key === event.target.value)));
$("#day").addEventListener("change", (event) => {
  if (event.target.value === "") return show(0, length());
  const begin = Number(event.target.value);
  show(Math.max(0, begin), Math.min(length(), begin + 86400));
});
$("#jump").addEventListener("submit", (event) => { event.preventDefault(); jump($("#jump-to").value); });
$("#zoom-in").addEventListener("click", () => zoom(0.5));
$("#zoom-out").addEventListener("click", () => zoom(2));
$("#zoom-all").addEventListener("click", () => show(0, length()));
$("#earlier").addEventListener("click", () => show(from - (to - from) / 2, to - (to - from) / 2));
$("#later").addEventListener("click", () => show(from + (to - from) / 2, to + (to - from) / 2));
$("#strip").addEventListener("keydown", (event) => {
  const cells = [...$("#strip").children];
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) {
    event.preventDefault();
    const next = cells[selected + step];
    if (next) { cells[selected].tabIndex = -1; next.tabIndex = 0; next.focus(); } else (step < 0 ? $("#earlier") : $("#later")).click();
  } else if (event.key === "+" || event.key === "=") zoom(0.5);
  else if (event.key === "-") zoom(2);
  else if (event.key === "Home") show(0, to - from);
  else if (event.key === "End") show(length() - (to - from), length());
});
$("#strip").addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  const area = $("#strip").getBoundingClientRect();
  zoom(event.deltaY > 0 ? 1.4 : 0.7, from + ((event.clientX - area.left) / area.width) * (to - from));
}, { passive: false });
let resized;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => source && draw(), 200); });
document.addEventListener("forgotten", () => draw());

(async () => {
  $(".strip").append(el("ul", { class: "legend", "aria-label": "What the bars mean" }, ...[...LANES.map((lane) => [lane, LANE_NAMES[lane]]), ["gap", "not perceived"], ["erased", "forgotten"]].map(([of, name]) => el("li", {}, el("i", { class: of }), name))));
  const all = await sources();
  known = shownOf(all);
  if (!known.length) {
    $("#empty").hidden = false;
    $(".strip").hidden = true;
    $(".tools").hidden = true;
    document.querySelector("section[aria-labelledby=events-title]").hidden = true;
    follow();
    return;
  }
  $("#source").replaceChildren(...known.map((one) => el("option", { value: one.key }, one.name)));
  const wanted = params.get("source") ?? all.at(-1).source;
  choose(known.find((one) => one.sessions.some((session) => session.source === wanted)) ?? known.at(-1));
  if (params.has("t")) around(Number(params.get("t")) + offset(source.sessions.find((session) => session.source === wanted) ?? source.sessions[0]));
  follow();
})();
