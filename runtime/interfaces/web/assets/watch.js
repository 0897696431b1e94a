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
      const reply = await api("/api/standing", { method: "POST", body: { action, which: query.id } });
      show(reply);
      if (action === "wrong") toast(reply.said);
    } catch (error) {
      toast(error.message);
    }
  };
  const why = async () => {
    const { decisions } = await api("/api/standing", { method: "POST", body: { action: "why", which: query.id } });
    const mine = (decisions || []).filter((decision) => decision.query === query.id).reverse();
    decided.replaceChildren(...mine.map(decisionLine));
    if (!mine.length) decided.append(el("li", { class: "none" }, "Nothing has come up for it yet."));
  };
  const decided = el("ol", { class: "feed" });
  const states = { active: "Waiting", paused: "Paused", done: "Told once, as asked" };
  const buttons = [
    query.state === "active" && el("button", { type: "button", class: "quiet", onclick: () => change("pause"), "aria-label": `Pause ${query.text}` }, "Pause"),
    query.state === "paused" && el("button", { type: "button", class: "quiet", onclick: () => change("resume"), "aria-label": `Go on with ${query.text}` }, "Go on"),
    query.told > 0 && el("button", { type: "button", class: "quiet", onclick: () => change("wrong"), "aria-label": `What was told of ${query.text} last was a false alarm` }, "False alarm"),
    el("button", { type: "button", class: "quiet", onclick: why, "aria-label": `What was decided of ${query.text}` }, "Why"),
    el("button", { type: "button", class: "quiet", onclick: () => change("remove"), "aria-label": `Remove ${query.text}` }, "Remove"),
  ].filter(Boolean);
  return el(
    "li", { class: "card" },
    el("div", { class: "row" }, el("b", {}, `${query.every ? "whenever" : "when"} ${query.text}`), el("span", { class: "row" }, ...buttons)),
    el("p", { class: "muted" }, `${states[query.state]}${query.told ? `, told ${many(query.told, "time")}` : ""}. ${query.account}`),
    decided,
  );
}

function decisionLine({ source, t_s, yes, reason, told, mistaken }) {
  const end = mistaken ? "; you called it a false alarm" : told ? "; told" : "";
  return el(
    "li", {},
    el("span", { class: "when" }, mediaTime(t_s)),
    el("button", { class: "link", type: "button", onclick: () => openMoment({ source, t0_s: t_s, t1_s: t_s }) }, `${yes ? "Yes" : "No"}${reason ? `: ${reason}` : ""}${end}`),
    el("span", { class: "more" }, source),
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
