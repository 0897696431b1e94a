// What memory holds that fits some words, best first, and why.
import { $, api, clock, el, follow, kindMark, many, mediaTime, openMoment, sourceName, sources, thumbnail } from "/assets/common.js";

const WHY = { bm25: "its words and its neighbours'", parent: "the event it lies in", vector: "likeness", coverage: "share of what you asked", coverage_neighbours: "with its neighbours' words", exact: "as written, not as misspelt", trust: "how far it is believed", event_trust: "how far its event is" };
let asked = 0;

async function search() {
  const q = $("#q").value.trim();
  if (!q) return;
  const mine = ++asked;
  const channels = [...document.querySelectorAll("[name=channel]:checked")].map((box) => box.value).join(",");
  $("#told").textContent = "searching …";
  try {
    const found = await api("/api/search", { query: { q, channels, source: $("#source").value, limit: 30, explain: $("#explain").checked ? 1 : "" } });
    if (mine !== asked) return;
    $("#told").textContent = found.hits.length ? `${many(found.hits.length, "hit")}, in ${Math.max(1, Math.round(found.took_s * 1000))} ms` : `Nothing found for “${q}”. Try fewer or other words.`;
    $("#hits").replaceChildren(...found.hits.map(hit));
  } catch (error) {
    if (mine === asked) $("#told").textContent = error.message;
  }
}

function hit({ seen, score, why }) {
  const open = () => openMoment(seen);
  const shown = thumbnail(seen.source, seen.t0_s, seen.channel === "frame" ? seen.id : "");
  const picture = el("button", { type: "button", class: "thumb", "aria-label": `Open ${mediaTime(seen.t0_s)}`, onclick: open }, ...shown.childNodes);
  const parts = Object.entries(why ?? {}).filter(([, value]) => value);
  const most = Math.max(...parts.map(([, value]) => value), 1);
  return el(
    "li", {},
    picture,
    el(
      "div", {},
      el("p", {}, kindMark(seen.channel), el("button", { class: "link", type: "button", onclick: open }, mediaTime(seen.t0_s)), ` ${seen.source}${seen.wall_s ? `, ${clock(seen.wall_s)}` : ""}`),
      el("p", {}, seen.text || "(no words)"),
      parts.length ? el("dl", { class: "why-list" }, ...parts.flatMap(([name, value]) => [el("dt", {}, WHY[name] ?? name), el("dd", {}, el("meter", { min: 0, max: most.toFixed(3), value: value.toFixed(3), "aria-label": WHY[name] ?? name })), el("dd", {}, value.toFixed(2))])) : null,
      why ? el("p", { class: "muted" }, `score ${score.toFixed(2)}`) : null,
    ),
  );
}

$("#search").addEventListener("submit", (event) => { event.preventDefault(); search(); });
$("#search").addEventListener("change", (event) => { if (event.target.id !== "q") search(); });
document.addEventListener("forgotten", search);
follow();
(async () => {
  $("#source").append(...(await sources()).map((source) => el("option", { value: source.source }, sourceName(source))));
  $("#q").value = new URLSearchParams(location.search).get("q") ?? "";
  $("#q").focus();
  search();
})();
