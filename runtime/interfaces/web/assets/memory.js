// What memory weighs, what it holds, and how to erase it.
import { $, api, bytes, clock, confirmForget, day, el, follow, many, mediaTime, sourceName, sources, toast } from "/assets/common.js";

const LEVELS = { hot: "Pictures and all that was noticed", events: "Sketches of events", episodes: "Pointers to episodes", words: "Words" };

async function refresh() {
  const [status, known] = await Promise.all([api("/api/status"), sources()]);
  const { memory } = status;
  const all = Object.values(memory.observations).reduce((sum, n) => sum + n, 0);
  $("#total").textContent = `${bytes(memory.bytes)} in ${memory.path}: ${many(all, "observation")}, ${many(memory.spans.event ?? 0, "event")}, ${many(memory.sources.length, "source")}`;
  $("#levels").replaceChildren(...Object.entries(memory.levels).map(([name, held]) => el(
    "div", {},
    el("dt", {}, LEVELS[name] ?? name),
    el("dd", { class: "bar-of" }, el("meter", { min: 0, max: held.budget, high: held.budget * 0.95, value: held.bytes, "aria-label": `${LEVELS[name] ?? name}: ${bytes(held.bytes)} of ${bytes(held.budget)}` })),
    el("dd", { class: "muted" }, `${bytes(held.bytes)} of ${bytes(held.budget)}`),
  )));
  $("#sources").replaceChildren(...known.map(row));
  if (!known.length) $("#sources").append(el("tr", {}, el("td", { colspan: 5, class: "none" }, "Memory is empty.")));
  const chosen = $("#forget select").value;
  $("#forget select").replaceChildren(el("option", { value: "" }, "any"), ...known.map((source) => el("option", { value: source.source }, sourceName(source))));
  $("#forget select").value = chosen;
}

function row(source) {
  const began = source.started_wall_s ? `${day(source.started_wall_s)} ${clock(source.started_wall_s)}` : "";
  const transcript = (form) => el("a", { href: `/api/transcript?${new URLSearchParams({ source: source.source, format: form })}`, download: `${source.source}.${form}` }, form);
  return el(
    "tr", {},
    el("th", { scope: "row" }, el("a", { href: `/timeline?${new URLSearchParams({ source: source.source })}` }, sourceName(source)), source.title ? el("div", { class: "muted" }, source.source) : null),
    el("td", {}, source.live ? "live" : source.kind === "file" ? "recording" : source.kind),
    el("td", {}, began),
    el("td", {}, mediaTime(source.until_s), source.complete || source.live ? "" : " (in part)"),
    el("td", {}, el("span", { class: "row" },
      "transcript", transcript("txt"), transcript("srt"), transcript("vtt"),
      el("button", { type: "button", class: "quiet", "aria-label": `Rename ${sourceName(source)}`, onclick: (event) => rename(source, event.target.closest("tr")) }, "Rename"),
      el("button", { type: "button", class: "quiet danger", "aria-label": `Forget ${sourceName(source)}`, onclick: () => forgetSource(source) }, "Forget"),
    )),
  );
}

function rename(source, shown) {
  const input = el("input", { value: source.title || source.source, "aria-label": "Title", maxlength: 80 });
  const form = el("form", { class: "row" }, input, el("button", { class: "primary" }, "Save"), el("button", { type: "button", class: "quiet", onclick: refresh }, "Cancel"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await api("/api/titles", { method: "PUT", body: { source: source.source, title: input.value } });
      await refresh();
    } catch (error) {
      toast(error.message);
    }
  });
  shown.firstElementChild.replaceChildren(form);
  input.select();
}

function forgetSource(source) {
  const place = $("#forgetting");
  place.scrollIntoView({ block: "center" });
  confirmForget({ windows: [{ source: source.source, t0_s: 0, t1_s: source.until_s + 1 }] }, place, refresh);
}

$("#forget").addEventListener("submit", (event) => {
  event.preventDefault();
  const wish = Object.fromEntries([...new FormData(event.target)].filter(([, value]) => value.trim()));
  confirmForget(wish, $("#forgetting"), refresh);
});
let shown = "";
follow({
  health: ({ memory }) => {
    const now = JSON.stringify([memory.observations, memory.sources.map((source) => source.source)]);
    if (shown && shown !== now && !$("#sources form")) refresh();
    shown = now;
  },
});
refresh();
