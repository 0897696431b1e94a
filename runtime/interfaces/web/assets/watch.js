// Standing queries: what you will be told of, and what you were told.
import { $, api, el, follow, many, mediaTime, openMoment, toast } from "/assets/common.js";

function show({ queries, notices }) {
  $("#queries").replaceChildren(...queries.map(card));
  if (!queries.length) $("#queries").append(el("li", { class: "none" }, "Nothing yet. Write above what you want to be told of; “whenever …” tells you each time."));
  $("#history").replaceChildren(...[...notices].reverse().map((notice) => el(
    "li", {},
    el("span", { class: "when" }, mediaTime(notice.citation.t0_s)),
    el("button", { class: "link", type: "button", onclick: () => openMoment(notice.citation) }, notice.text),
    el("span", { class: "more" }, `${notice.citation.source}${notice.confirmed ? ", confirmed by a model that looked" : ""}`),
  )));
  if (!notices.length) $("#history").append(el("li", { class: "none" }, "Nothing was told yet."));
}

function card(query) {
  const change = async (action) => {
    try {
      show(await api("/api/standing", { method: "POST", body: { action, which: query.id } }));
    } catch (error) {
      toast(error.message);
    }
  };
  const states = { active: "Waiting", paused: "Paused", done: "Told once, as asked" };
  const buttons = [
    query.state === "active" && el("button", { type: "button", class: "quiet", onclick: () => change("pause"), "aria-label": `Pause ${query.text}` }, "Pause"),
    query.state === "paused" && el("button", { type: "button", class: "quiet", onclick: () => change("resume"), "aria-label": `Go on with ${query.text}` }, "Go on"),
    el("button", { type: "button", class: "quiet", onclick: () => change("remove"), "aria-label": `Remove ${query.text}` }, "Remove"),
  ].filter(Boolean);
  return el(
    "li", { class: "card" },
    el("div", { class: "row" }, el("b", {}, `${query.every ? "whenever" : "when"} ${query.text}`), el("span", { class: "row" }, ...buttons)),
    el("p", { class: "muted" }, `${states[query.state]}${query.told ? `, told ${many(query.told, "time")}` : ""}. ${query.account}`),
  );
}

$("#add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("#when").value.trim();
  if (!text) return;
  try {
    const found = await api("/api/standing", { method: "POST", body: { action: "add", text } });
    $("#when").value = "";
    $("#told").textContent = found.said;
    $("#told").className = "muted";
    show(found);
  } catch (error) {
    $("#told").textContent = error.message;
    $("#told").className = "error";
  }
});
const refresh = async () => show(await api("/api/standing"));
follow({ notice: refresh });
refresh();
