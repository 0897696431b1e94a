// What every page uses: the API, times, the moment dialog, notices, and the state in the bar.

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null && child !== ""));
  return made;
}

export const $ = (selector) => document.querySelector(selector);

export async function api(path, { method = "GET", body, query, signal } = {}) {
  const address = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== "" && value != null) address.searchParams.set(name, value);
  }
  let response;
  try {
    response = await fetch(address, {
      method,
      signal,
      headers: body ? { "content-type": "application/json" } : {},
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The agent cannot be reached.");
  }
  if (response.status === 401) location.assign("/sign-in");
  if (response.status === 204) return null;
  const found = await response.json();
  if (!response.ok) throw new Error(found.error?.message ?? `error ${response.status}`);
  return found;
}

// --- times ---------------------------------------------------------------------------------------

export function mediaTime(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${String(m).padStart(2, "0")}:${String(s).padStart(2, "0")}` : `${m}:${String(s).padStart(2, "0")}`;
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
export const clock = (wallSeconds) => clockFormat.format(new Date(wallSeconds * 1000));
export const day = (wallSeconds) => dayFormat.format(new Date(wallSeconds * 1000));

export function bytes(n) {
  for (const unit of ["B", "kB", "MB"]) {
    if (n < 1000) return unit === "B" ? `${n} B` : `${n.toFixed(1)} ${unit}`;
    n /= 1000;
  }
  return `${n.toFixed(1)} GB`;
}

export const many = (n, one, more = `${one}s`) => `${n} ${n === 1 ? one : more}`;

// --- sources -------------------------------------------------------------------------------------

export async function sources() {
  const [known, titles] = await Promise.all([api("/api/sources"), api("/api/titles")]);
  return known.map((source) => ({ ...source, title: titles[source.source] ?? "" }));
}

export function sourceName(source) {
  if (source.title) return source.title;
  if (source.label !== source.source && source.started_wall_s) {
    return `${source.label}, ${day(source.started_wall_s)} ${clock(source.started_wall_s).slice(0, 5)}`;
  }
  return source.source;
}

export const KINDS = { speech: "said", text: "written", object: "seen", sound: "sound", frame: "picture", gap: "gap", correction: "corrected", derived: "described" };
export const kindMark = (channel) => el("span", { class: `kind ${channel}` }, KINDS[channel] ?? channel);

// --- pictures ------------------------------------------------------------------------------------

export function thumbnail(source, tSeconds, id) {
  const query = new URLSearchParams(id ? { id } : { source, t_s: tSeconds.toFixed(3), kept: "1" });
  const image = el("img", { src: `/api/frame?${query}`, alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.remove());
  return el("span", { class: "thumb" }, image);
}

export function citation(cited, onOpen = () => openMoment(cited)) {
  return el(
    "button",
    { class: "cite", type: "button", onclick: onOpen, "aria-label": `Open ${mediaTime(cited.t0_s)}, ${KINDS[cited.channel] ?? cited.channel}: ${cited.text}` },
    thumbnail(cited.source, cited.t0_s, cited.channel === "frame" ? cited.id : ""),
    el("span", {}, el("b", {}, mediaTime(cited.t0_s)), " ", kindMark(cited.channel)),
    el("span", { class: "words" }, cited.text),
  );
}

// --- a moment: its clip, what is said in it, and what can be done with it ---------------------------

const BEFORE_S = 2, AFTER_S = 6, LONGEST_S = 60;
let opened = 0;

export async function openMoment({ source, t0_s, t1_s, text = "", id = "", channel = "" }) {
  const dialog = $("#moment");
  const mine = ++opened;
  const [player, made, said, actions] = [".player", ".made", ".said", ".actions"].map((of) => dialog.querySelector(of));
  const begin = Math.max(0, t0_s - BEFORE_S);
  const end = Math.min(Math.max(t1_s, t0_s) + AFTER_S, begin + LONGEST_S);
  dialog.querySelector("h2").textContent = `${mediaTime(t0_s)}${text ? ` · ${text.slice(0, 120)}` : ""}`;
  const poster = el("img", { src: `/api/frame?${new URLSearchParams(channel === "frame" && id ? { id } : { source, t_s: t0_s.toFixed(3), kept: "1" })}`, alt: "" });
  poster.addEventListener("error", () => poster.remove());
  player.replaceChildren(poster, el("span", { class: "busy" }, "making the clip …"));
  made.textContent = source;
  said.replaceChildren();
  actions.replaceChildren(
    el("a", { class: "button quiet", href: `/timeline?${new URLSearchParams({ source, t: t0_s.toFixed(1) })}` }, "Show in timeline"),
    el("button", { class: "danger", type: "button", onclick: () => forgetMoment({ source, t0_s, t1_s }, actions, dialog) }, "Forget this"),
  );
  if (!dialog.open) dialog.showModal();
  try {
    const facts = await api("/api/clip/facts", { query: { source, t0_s: begin.toFixed(3), t1_s: end.toFixed(3) } });
    if (mine !== opened) return;
    const video = el("video", { src: facts.url, controls: true, playsinline: true, preload: "auto", "aria-label": "Clip" });
    player.replaceChildren(video);
    video.currentTime = 0;
    video.play().catch(() => {});
    made.textContent = `${source}, ${mediaTime(facts.t0_s)} to ${mediaTime(facts.t1_s)}, from ${facts.made_of === "kept pictures" ? "kept pictures" : `the ${facts.made_of}`}${facts.note && facts.made_of !== "kept pictures" ? `; ${facts.note}` : ""}${facts.made_of === "kept pictures" ? ": no sound, and few pictures a second" : ""}`;
    actions.prepend(el("a", { class: "button", href: facts.url, download: `${source}-${mediaTime(facts.t0_s).replaceAll(":", ".")}.mp4` }, "Save clip"));
    if (facts.made_of === "footage") {
      const keep = el("button", { type: "button", onclick: async () => {
        await api("/api/footage/marks", { method: "POST", body: { source, t0_s, t1_s: Math.max(t0_s, t1_s) } });
        keep.disabled = true;
        keep.textContent = "Kept";
      } }, "Keep this footage");
      actions.children[0].after(keep);
    }
    for (const line of facts.said) {
      const jump = () => { video.currentTime = Math.max(0, line.t0_s - facts.t0_s); video.play().catch(() => {}); };
      said.append(el("li", {}, el("button", { type: "button", onclick: jump }, el("span", { class: "when" }, mediaTime(line.t0_s)), el("span", {}, line.text || "(not understood)"))));
    }
    video.addEventListener("timeupdate", () => {
      const now = video.currentTime + facts.t0_s;
      [...said.children].forEach((item, n) => item.classList.toggle("current", facts.said[n].t0_s <= now && now < facts.said[n].t1_s));
    });
  } catch (error) {
    if (mine !== opened) return;
    player.querySelector(".busy")?.remove();
    made.textContent = error.message;
  }
}

$("#moment")?.addEventListener("close", () => {
  opened++;
  $("#moment .player").replaceChildren();
});

async function forgetMoment({ source, t0_s, t1_s }, actions, dialog) {
  const windows = [{ source, t0_s, t1_s: Math.max(t1_s, t0_s) }];
  await confirmForget({ windows }, actions, () => {
    dialog.close();
    document.dispatchEvent(new CustomEvent("forgotten"));
  });
}

// Shows in ``place`` what would go, and erases it when agreed to; then shows the proof.
export async function confirmForget(wish, place, onDone) {
  place.replaceChildren(el("p", { class: "muted" }, "Looking what would go …"));
  let found;
  try {
    found = await api("/api/forget/preview", { method: "POST", body: wish });
  } catch (error) {
    place.replaceChildren(el("p", { class: "error", role: "alert" }, error.message));
    return;
  }
  const counted = countedText(found.observations);
  if (!counted) {
    place.replaceChildren(el("p", { class: "muted" }, "Nothing in memory is meant by that."));
    return;
  }
  const examples = el("ol", { class: "feed" }, ...found.examples.map((seen) => el("li", {}, el("span", { class: "when" }, mediaTime(seen.t0_s)), el("span", {}, kindMark(seen.channel), seen.text || "(no words)"))));
  const yes = el("button", { class: "danger", type: "button" }, "Forget it for good");
  const no = el("button", { class: "quiet", type: "button", onclick: () => place.replaceChildren() }, "Keep it");
  place.replaceChildren(el("div", {}, el("p", {}, `${counted} would go.`), examples, el("p", { class: "row" }, yes, no)));
  yes.focus();
  yes.addEventListener("click", async () => {
    yes.disabled = no.disabled = true;
    try {
      const done = await api("/api/forget", { method: "POST", body: wish });
      place.replaceChildren(proof(done));
      onDone?.(done);
      toast(`Forgotten: ${countedText(done.observations)}.`);
    } catch (error) {
      place.replaceChildren(el("p", { class: "error", role: "alert" }, error.message));
    }
  });
}

const countedText = (observations) => Object.entries(observations).map(([channel, n]) => `${n} ${channel}${n === 1 || channel === "speech" || channel === "text" ? "" : "s"}`).join(", ");

function proof(done) {
  const traces = Object.entries(done.traces);
  return el(
    "div", { class: "proof" },
    el("p", {}, `Forgotten: ${countedText(done.observations) || "nothing that was in memory"}.`),
    el("p", { class: "muted" }, `Searched again, found: ${Object.entries(done.searched).map(([what, n]) => `${what} ${n}`).join(", ")}.`),
    el("p", { class: traces.length ? "error" : "muted" }, `Looked through the bytes of ${many(Object.keys(done.files).length, "file")}; traces: ${traces.length ? traces.map(([file, n]) => `${file} (${n})`).join(", ") : "none"}.`),
    ...done.unsearched.map((where) => el("p", { class: "error" }, `Erased, but not looked through: ${where}.`)),
    ...done.owed.map((site) => el("p", { class: "error" }, `${site} is away: it forgets when it is back.`)),
    el("p", { class: "muted" }, `Memory was ${bytes(done.bytes_before)}, is ${bytes(done.bytes_after)}.`),
  );
}

document.querySelector(".bar nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// --- notices and the state in the bar ---------------------------------------------------------------

export function toast(text, onOpen) {
  const shown = el(
    "div", { class: "toast" },
    el("p", {}, text),
    el("button", { class: "icon", type: "button", "aria-label": "Dismiss", onclick: () => shown.remove() }, "✕"),
    onOpen && el("button", { class: "link", type: "button", onclick: () => { shown.remove(); onOpen(); } }, "Show the moment"),
  );
  $("#toasts").append(shown);
  setTimeout(() => shown.remove(), onOpen ? 30000 : 8000);
}

function state(kind, text) {
  const shown = $("#state");
  if (shown.className !== `state ${kind}`) shown.className = `state ${kind}`;
  const words = shown.querySelector(".text");
  if (words.textContent !== text) words.textContent = text;
}

export function describeState(health) {
  const live = Object.entries(health.processes).filter(([name, process]) => name.includes(":") && !process.ended);
  if (live.some(([, process]) => process.paused)) return ["warn", "paused"];
  const away = live.filter(([, process]) => process.notes.some((note) => note.includes(" cannot be ")));
  if (away.length) return ["warn", `${away[0][0].split(":")[1]} is away`];
  const watched = new Set(live.map(([name]) => name.split(":")[1]));
  if (watched.size) return ["good", `perceiving ${many(watched.size, "source")}`];
  const busy = Object.entries(health.processes).some(([name, process]) => ["video", "audio"].includes(name) && !process.ended && !process.idle);
  return busy ? ["good", "perceiving a recording"] : ["", `remembers ${bytes(health.memory.bytes)}`];
}

// Follows the agent; ``handlers`` by the name of an event. Every page shows notices and the state.
export function follow(handlers = {}) {
  const kinds = ["notice", "health", ...(handlers.observations ? ["observation"] : []), ...(handlers.partials ? ["partial"] : [])];
  const events = new EventSource(`/api/events?kinds=${kinds.join(",")}`);
  const all = {
    health: (found) => state(...describeState(found)),
    notice: (found) => toast(found.notice, () => openMoment(found.citation)),
  };
  for (const name of ["observations", "partials", "notice", "health"]) {
    events.addEventListener(name, (event) => {
      const found = JSON.parse(event.data);
      all[name]?.(found);
      handlers[name]?.(found);
    });
  }
  events.addEventListener("error", () => state("bad", "not connected"));
  addEventListener("pagehide", () => events.close());
  return events;
}
