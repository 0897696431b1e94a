// A conversation: answers as they come, the moments they rest on, corrections.
import { $, api, citation, el, follow, sources } from "/assets/common.js";

const EXAMPLES = ["What happened?", "What was said last?", "What was written?", "Did a person appear?"];
let conversation = sessionStorage.getItem("conversation") ?? begin();
let asking = null;

function begin() {
  const made = `page-${crypto.randomUUID?.() ?? Math.random().toString(36).slice(2)}`;
  sessionStorage.setItem("conversation", made);
  return made;
}

// Server-sent events of a POST, which EventSource cannot send.
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value.replaceAll("\r", "");
    let end;
    while ((end = held.indexOf("\n\n")) >= 0) {
      const lines = held.slice(0, end).split("\n");
      held = held.slice(end + 2);
      const event = lines.find((line) => line.startsWith("event: "))?.slice(7);
      const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      if (event) yield [event, JSON.parse(data)];
    }
  }
}

async function ask(question) {
  $("#starters").hidden = true;
  asking?.abort();
  const mine = (asking = new AbortController());
  const answer = el("p", { class: "answer" });
  const steps = el("p", { class: "steps", hidden: true });
  const cited = el("ul", { class: "thumbs", "aria-label": "Moments this rests on" });
  const after = el("div", { class: "after" });
  const turn = el("article", { class: "turn", "aria-busy": "true" }, el("p", { class: "question" }, question), steps, answer, cited, after);
  $("#talk").append(turn);
  const stop = el("button", { type: "button", class: "quiet", onclick: () => mine.abort() }, "Stop");
  after.append(stop);
  turn.scrollIntoView({ block: "end" });
  try {
    const response = await fetch("/api/ask", {
      method: "POST", signal: mine.signal, headers: { "content-type": "application/json" },
      body: JSON.stringify({ question, conversation, stream: true }),
    });
    if (!response.ok) throw new Error((await response.json()).error.message);
    for await (const [event, data] of eventsOf(response)) {
      if (event === "part") answer.append(data.text);
      else if (event === "step") { steps.hidden = false; steps.textContent = data.found || data.tool; }
      else if (event === "error") throw new Error(data.message);
      else if (event === "answer") finish(data, { answer, steps, cited, after, question });
    }
  } catch (error) {
    answer.append(error.name === "AbortError" ? " (stopped)" : el("span", { class: "error" }, error.message));
    after.replaceChildren();
  }
  turn.removeAttribute("aria-busy");
  turn.scrollIntoView({ block: "end", behavior: "smooth" });
}

function finish(found, { answer, steps, cited, after, question }) {
  if (answer.textContent.trim() !== found.answer.trim()) answer.textContent = found.answer;
  steps.hidden = !found.understood;
  steps.textContent = found.understood ? `understood as: ${found.understood}` : "";
  cited.replaceChildren(...found.citations.map((one) => el("li", {}, citation(one))));
  const more = found.notice ? [el("span", { class: "muted" }, found.notice)] : [];
  const correct = el("button", { type: "button", class: "quiet", onclick: () => {
    $("#question").value = "No, ";
    $("#question").focus();
    $("#question").setSelectionRange(4, 4);
  } }, "Correct this");
  after.replaceChildren(correct, ...more);
}

$("#ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("#question").value.trim();
  if (!question) return $("#question").focus();
  $("#question").value = "";
  ask(question);
});
$("#question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("#ask").requestSubmit();
  }
});
$("#new").addEventListener("click", () => {
  asking?.abort();
  conversation = begin();
  $("#talk").replaceChildren();
  $("#starters").hidden = false;
  $("#question").focus();
});

follow();
$("#examples").append(...EXAMPLES.map((example) => el("button", { type: "button", onclick: () => ask(example) }, example)));
(async () => {
  if (!(await sources()).length) $("#starters h2").textContent = "Memory is empty: nothing can be answered yet";
  const wanted = new URLSearchParams(location.search).get("q");
  if (wanted) ask(wanted);
  else $("#question").focus();
})();
