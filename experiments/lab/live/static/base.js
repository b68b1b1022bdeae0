"use strict";
/* What all screens share: short names, tabs, theme, size. */
const $ = s => document.querySelector(s), $$ = s => [...document.querySelectorAll(s)];
const n0 = x => Math.round(x).toLocaleString("en-US");
const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);
const esc = s => String(s).replace(/[&<>"]/g, c => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
const LETTER = { "sync-rest": "A", "async-rabbitmq": "B", "streaming-kafka": "C" };
const PART = { A: "sync-rest", B: "async-rabbitmq", C: "streaming-kafka" };
const NAME = { A: ["REST", "the student waits for everybody"], B: ["RabbitMQ", "accepted, the rest follows"], C: ["Kafka", "in the log, everybody reads it"] };
const partBox = p => `<span class="part p${p}">${p}</span>`;
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const token = $("meta[name=token]")?.content;
const inlineRun = $("#run") ? JSON.parse($("#run").textContent) : null;
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name);
const painter = document.createElement("i");
painter.style.display = "none";
document.body.append(painter);
/* A colour that a canvas understands: light-dark() is solved by the browser. */
const paint = name => { painter.style.color = `var(${name})`; return getComputedStyle(painter).color };

/* Set text or HTML only where it differs: what has the focus keeps it. */
function put(element, html) { if (element && element._html !== html) { element.innerHTML = html; element._html = html } }

/* A number of seconds with its unit: ms below one second. */
function took(s) {
  if (s == null) return ["–", ""];
  return s < 1 ? [s * 1000 < 10 ? (s * 1000).toFixed(1) : n0(s * 1000), "ms"] : [s < 100 ? s.toFixed(1) : n0(s), "s"];
}

function say(text) {
  const box = $("#say");
  box.hidden = !text;
  box.textContent = text || "";
}

async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json", "X-Live-Token": token }, body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  let found;
  try { found = await answer.json() } catch { found = {} }
  if (!answer.ok) throw new Error([found.error || answer.statusText, found.hint].filter(Boolean).join(" → "));
  return found;
}

/* Do something that a click asked for, and say what went wrong. */
async function act(button, work) {
  if (button) button.disabled = true;
  try { say(""); return await work() } catch (error) { say(error.message) } finally { if (button) button.disabled = false }
}

const TABS = inlineRun ? [["runs", "Run"], ["lanes", "Lanes"], ["time", "Time"], ["order", "One order"]]
  : [["lanes", "Lanes"], ["time", "Time"], ["order", "One order"], ["runs", "Runs"]];
const DRAW = {}; /* what each screen does when it is shown or the window changes */
const now = () => TABS.find(([i]) => !$("#s-" + i).hidden)[0];

function tabs() {
  $("[role=tablist]").innerHTML = TABS.map(([i, t]) => `<button role="tab" id="t-${i}" aria-controls="s-${i}">${t}</button>`).join("");
  TABS.forEach(([i], k) => {
    const t = $("#t-" + i);
    t.onclick = () => go(i);
    t.onkeydown = e => { const d = { ArrowRight: 1, ArrowLeft: 3 }[e.key]; if (d) { const j = TABS[(k + d) % 4][0]; go(j); $("#t-" + j).focus() } };
  });
  addEventListener("keydown", e => { if (!/INPUT|SELECT/.test(e.target.tagName) && !e.ctrlKey && !e.metaKey && !e.altKey && TABS[e.key - 1]) go(TABS[e.key - 1][0]) });
  $("#bigb").onclick = e => { const b = document.documentElement.classList.toggle("big"); e.target.setAttribute("aria-pressed", b); redraw() };
  let th = 0;
  $("#theme").onclick = () => { th = (th + 1) % 3; document.documentElement.classList.remove("light", "dark"); const t = ["auto", "light", "dark"][th]; if (th) document.documentElement.classList.add(t); $("#theme").innerHTML = "<i>Theme: </i>" + t; redraw() };
  addEventListener("resize", () => redraw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
}

function go(id) {
  TABS.forEach(([x]) => { const on = x == id, t = $("#t-" + x); t.setAttribute("aria-selected", on); t.tabIndex = on ? 0 : -1; $("#s-" + x).hidden = !on });
  history.replaceState(0, "", "#" + id);
  redraw();
}

function redraw() { DRAW[now()]?.() }
