"use strict";
/* The fault card: one control a row, and under it the line that does the same in a shell. */
const Card = (() => {
  let id = null, name = "", shape = null, points = {};
  const card = $("#card");
  const words = x => x.split(" ").map(w => `<span>${esc(w)}</span>`).join(" ");
  const line = x => `<div class="cmd"><code>${words(x)}</code><button aria-label="Copy ${esc(x)}">copy</button></div>`;
  const part = () => shape?.parts.find(d => LETTER[d.part] == id[0]);
  const service = () => part()?.services?.[id.slice(2)];
  const full = () => `${PART[id[0]]}/${id.slice(2)}`;
  const short = () => shape.parts.filter(d => d.up).length > 1 ? full() : id.slice(2);

  const SLIDERS = {
    delay: ["Delay", 0, 10, .5, v => `${v} s`], jitter: ["Jitter", 0, 5, .5, v => `${v} s`],
    throttle: ["Throttle", 0, 2, .05, v => `${v} s`], timeout: ["Time-out", .5, 20, .5, v => `${v} s`], expires_in: ["Ends in", 0, 120, 5, v => +v ? `${Math.ceil(v)} s` : "never"],
  };

  function build() {
    const c = service(), s = short(), cf = `./lab configure ${s}`, k = c.config || {}, p = id[0];
    card.className = `card panel p${p}`;
    const slider = key => { const [label, min, max, stepBy] = SLIDERS[key]; return key in k ? `<div class="ctl" data-key="${key}"><label for="f-${key}">${label}</label><input id="f-${key}" type="range" min="${min}" max="${max}" step="${stepBy}" value="${k[key] ?? 0}"><output></output>${line(`${cf} ${key}=${k[key] ?? "null"}`)}</div>` : "" };
    const choices = { A: ["before_commit", "after_commit"], B: ["before_commit", "after_commit", "after_publish"], C: ["before_commit", "after_commit", "after_publish"] }[p];
    card.innerHTML = `<h2>${partBox(p)}${id.slice(2)}<button id="cx" aria-label="Close the card">✕</button></h2><p id="chow" style="margin:.1rem 0 .25rem"></p><div class="ctls">
<div class="ctl"><span class="l">Process</span><div class="btns" id="pb">${[["start", "Start"], ["kill", "Kill"], ["pause", "Freeze"], ["unpause", "Go on"]].map(([v, t]) => `<button data-v="${v}">${t}</button>`).join("")}</div>${line(`./lab kill ${s}`)}</div>
${slider("delay")}${slider("jitter")}
${"failure_rate" in k ? `<div class="ctl" data-key="failure_rate"><label for="f-failure_rate">Failures</label><span class="duo"><input id="f-failure_rate" type="range" min="0" max="100" step="5" value="${Math.round(k.failure_rate * 100)}"><select id="f-failure_mode" aria-label="Failure mode">${["error", "reject", "hang", "drop"].map(m => `<option ${m == k.failure_mode ? "selected" : ""}>${m}</option>`).join("")}</select></span><output></output>${line(`${cf} failure_rate=${k.failure_rate} failure_mode=${k.failure_mode}`)}</div>` : ""}
${"crash_point" in k ? `<div class="ctl" data-key="crash_point"><label for="f-crash_point">Crash at</label><select id="f-crash_point">${["none", ...choices].map(m => `<option ${m == (k.crash_point || "none") ? "selected" : ""}>${m}</option>`).join("")}</select><span></span>${line(`${cf} crash_point=${k.crash_point || "null"}`)}</div>` : ""}
${slider("throttle")}${slider("timeout")}
${"paused" in k ? `<div class="ctl" data-key="paused"><span class="l">Reading</span><div class="btns"><button data-paused="true">Pause</button><button data-paused="false">Go on</button></div>${line(`${cf} paused=${k.paused}`)}</div>` : ""}
${slider("expires_in")}
${Object.keys(k).length ? `<div class="ctl"><span class="l">All</span><div class="btns"><button id="creset">No fault</button></div>${line(`${cf} --reset`)}</div>` : ""}</div>`;
    card.querySelectorAll("#pb button").forEach(b => {
      const word = { pause: "freeze", unpause: "unfreeze" }[b.dataset.v] || b.dataset.v;
      b.onfocus = b.onmouseenter = () => retell(b, `./lab ${word} ${s}`);
      b.onclick = () => act(b, () => ask("/api/fault", { service: full(), verb: b.dataset.v })).then(update);
    });
    $("#cx").onclick = close;
    card.onkeydown = e => { if (e.key == "Escape") close() };
    card.querySelectorAll("[data-key]").forEach(row => {
      const tell = () => { const [settings, text] = settingsOf(row); retell(row, `${cf} ${Object.entries(settings).map(([a, b]) => `${a}=${b}`).join(" ")}`); const o = row.querySelector("output"); if (o) o.textContent = text };
      row.querySelectorAll("input,select").forEach(e => { e.oninput = tell; e.onchange = () => act(null, () => ask("/api/fault", { service: full(), settings: settingsOf(row)[0] })) });
      row.querySelectorAll("[data-paused]").forEach(b => { b.onclick = () => { retell(row, `${cf} paused=${b.dataset.paused}`); act(b, () => ask("/api/fault", { service: full(), settings: { paused: b.dataset.paused == "true" } })) } });
      if (row.querySelector("output")) row.querySelector("output").textContent = settingsOf(row)[1];
    });
    if ($("#creset")) $("#creset").onclick = e => act(e.target, () => ask("/api/fault", { service: full(), reset: true }));
    copyButtons();
    name = signature();
    update();
  }

  function copyButtons() {
    card.querySelectorAll(".cmd button").forEach(b => b.onclick = () => { navigator.clipboard?.writeText(b.previousSibling.textContent); b.textContent = "copied"; setTimeout(() => b.textContent = "copy", 1200) });
  }

  function retell(inside, text) {
    const code = inside.closest(".ctl").querySelector("code");
    code.innerHTML = words(text);
    code.nextSibling.setAttribute("aria-label", `Copy ${text}`);
  }

  function settingsOf(row) {
    const key = row.dataset.key, e = row.querySelector("input,select");
    if (key == "failure_rate") { const rate = +(e.value / 100).toFixed(2); return [{ failure_rate: rate, failure_mode: row.querySelector("select").value }, `${e.value} %`] }
    if (key == "crash_point") return [{ crash_point: e.value == "none" ? null : e.value }, ""];
    if (key == "expires_in") return [{ expires_in: +e.value || null }, SLIDERS[key][4](e.value)];
    if (key == "paused") return [{ paused: service().config.paused }, ""];
    return [{ [key]: +(+e.value).toFixed(2) }, SLIDERS[key][4](e.value)];
  }

  /* What the card is built from: when it changes, the card is built anew; otherwise only its values follow. */
  const signature = () => { const c = service(); return c ? [id, short(), ...Object.keys(c.config || {})].join() : "" };

  function update(fresh) {
    if (fresh?.parts) shape = fresh;
    if (!id || card.hidden) return;
    const c = service();
    if (!c) return;
    if (c.state == "running" && signature() != name) return build();
    const up = c.state == "running", f = (part().faults || []).find(x => x.service == id.slice(2) && x.until == null && /killed|frozen/.test(x.what));
    const since = f ? ` ${Math.max(0, shape.now - f.since).toFixed(0)} s ago` : "";
    put($("#chow"), up ? (c.ready == "yes" ? "ready" : esc(c.ready || "…")) : `<span class="hatch" style="padding:.15rem .5rem;display:inline-block;border-radius:3px"><span class="chip" style="margin:0">${c.state == "paused" ? "❚❚ frozen" : "✕ killed"}${since}</span></span>`);
    const can = { start: c.state == "exited", kill: c.state != "exited", pause: up, unpause: c.state == "paused" };
    card.querySelectorAll("#pb button").forEach(b => { b.disabled = !can[b.dataset.v]; b.hidden = b.dataset.v == "unpause" ? !can.unpause : b.dataset.v == "pause" ? can.unpause : false; b.classList.toggle("do", b.dataset.v == "start" && can.start) });
    const pb = $("#pb");
    if (!pb.querySelector(":focus:enabled,:hover:enabled")) retell(pb, `./lab ${can.start ? "start" : can.unpause ? "unfreeze" : "kill"} ${short()}`);
    if (!up) return;
    for (const row of card.querySelectorAll("[data-key]")) {
      const key = row.dataset.key, v = c.config[key], e = row.querySelector("input,select");
      if (key == "paused") { row.querySelectorAll("button").forEach(b => b.disabled = String(!!v) == b.dataset.paused); continue }
      if (row.contains(document.activeElement)) continue;
      e.value = key == "failure_rate" ? Math.round(v * 100) : key == "crash_point" ? v || "none" : v ?? 0;
      const o = row.querySelector("output");
      if (o) o.textContent = settingsOf(row)[1];
    }
  }

  function open(which) {
    id = which; name = "";
    if (!service()) return;
    $$("[data-s]").forEach(b => { b.removeAttribute("aria-expanded"); if (b.dataset.s == id) b.setAttribute("aria-expanded", true) });
    card.hidden = false;
    $("#stage").classList.add("open");
    build();
    DRAW.lanes();
    $("#cx").focus({ preventScroll: true });
  }

  function close() {
    const button = $(`[data-s="${id}"]`);
    id = null; card.hidden = true;
    $("#stage").classList.remove("open");
    $$("[data-s]").forEach(b => b.removeAttribute("aria-expanded"));
    DRAW.lanes();
    button?.focus();
  }
  return { open, close, update };
})();
