"use strict";
/* Lanes: where the orders are now, and who waits. A mark is an order; it moves at one speed and shows where, not how fast. */
const Lanes = (() => {
  const STATIONS = { A: ["order", "inventory", "notification"], B: ["order", "inventory", "notification"], C: ["order", "inventory", "notification", "analytics"] };
  const BROKER = { B: "rabbitmq", C: "kafka" }, FLOW = 50, SPEED = 230, MARKS = 150;
  const rails = {}, seen = {}, dots = [], before = {};
  let Z = 1, last = null, alone = null;

  function make(p) {
    const svc = (id, more = "") => `<button class="svc ${more}" data-s="${p}-${id}"><b>${id}</b><span class="how"></span></button>`;
    const lane = document.createElement("section");
    lane.className = `lane panel p${p}`;
    lane.setAttribute("aria-label", `Part ${p}, ${NAME[p][0]}`);
    lane.dataset.p = p;
    lane.innerHTML = `<div class="head"><button class="part p${p} solo" aria-pressed="false" aria-label="Part ${p} alone">${p}</button><h2>${NAME[p][0]}</h2><span class="sub">${NAME[p][1]}</span><button class="promise"></button></div>
<div class="pipe" id="pipe${p}"><svg aria-hidden="true"></svg><div class="who"><b>client</b></div>${svc("order")}<div class="q q1"></div>${svc("inventory")}${p == "A" ? "<div></div>" : '<div class="q q2"></div>'}${svc("notification")}${p == "C" ? svc("analytics", "an") : ""}</div>
<dl class="figs">${["accepted/s", "completed/s", "reply, p50 · p99", "notified, p50 · p99"].map(t => `<div><dt>${t}</dt><dd class="num"></dd></div>`).join("")}</dl>`;
    lane.querySelector(".solo").onclick = () => { alone = alone == p ? null : p; show(last); redraw() };
    lane.querySelector(".promise").onclick = () => { const b = lane._broken; if (b) Order.show(b[1]) };
    lane.addEventListener("click", e => { const s = e.target.closest("[data-s]"); if (s && !Play.on) Card.open(s.dataset.s) });
    return lane;
  }

  const how = (c, f) => {
    if (!c) return ["", ""];
    const killed = c.state == "exited", frozen = c.state == "paused", since = f && f.since ? `<span class="chip">${ago(f.since)}</span>` : "";
    if (killed) return ["down", `<span class="chip">✕ killed</span>${since}`];
    if (frozen) return ["down", `<span class="chip">❚❚ frozen</span>${since}`];
    const k = c.config || {}, chips = [];
    if (k.paused) chips.push("❚❚ reading", "paused");
    if (k.delay || k.jitter) chips.push("◐ delay", `${k.delay}${k.jitter ? " ± " + k.jitter : ""} s`);
    if (k.throttle) chips.push("◐ throttle", `${k.throttle} s`);
    if (k.failure_rate) chips.push(`◐ ${k.failure_mode}`, `${Math.round(k.failure_rate * 100)} %`);
    if (k.crash_point) chips.push("◐ crash at", k.crash_point.replace("_", " "));
    for (const t of c.faults || []) chips.push(`◐ ${esc(t)}`);
    if (chips.length && k.expires_in) chips.push(`${Math.ceil(k.expires_in)} s left`);
    if (chips.length) return ["ill", chips.map(t => `<span class="chip">${t}</span>`).join("")];
    return ["", c.ready == "yes" ? "ready" : c.ready ? `<span title="${esc(c.ready)}">not ready</span>` : "…"];
  };
  const ago = s => { const t = (last?.now || 0) - s; return t < 100 ? `${Math.max(0, t).toFixed(0)} s` : `${Math.floor(t / 60)} min` };

  function queue(p, d) {
    const b = d.services?.[BROKER[p]], off = b && b.state != "running", title = (t, n) => `<button class="qb ${off ? "down" : ""}" data-s="${p}-${BROKER[p]}" aria-label="${t}: faults of ${BROKER[p]}">${n}</button>${off ? `<span class="chip">${b.state == "paused" ? "❚❚ frozen" : "✕ killed"}</span>` : ""}`;
    const old = `<span class="small">oldest <b style="display:inline">${d.oldest.toFixed(1)} s</b></span>`;
    if (p == "A") {
      const n = Math.min(16, d.waiting);
      return [`<b class="small">no queue: callers wait</b><div class="cells" role="img" aria-label="${n} of 16 threads busy">${Array.from({ length: 16 }, (_, i) => `<i ${i < n ? 'class="on"' : ""}></i>`).join("")}</div><span class="small">${d.waiting > 16 ? n0(d.waiting) + " orders not done" : n + " of 16 threads"}</span>`, ""];
    }
    if (p == "B") {
      const q = d.queues || {}, wait = q["order-placed"], was = before.B, n = wait == null ? "?" : n0(wait);
      const rate = was && wait != null && d.at > was.at ? (wait - was.wait) / (d.at - was.at) : 0;
      const trend = Math.abs(rate) < 1 ? "" : ` · <b style="display:inline">${rate > 0 ? "▲" : "▼"} ${n0(Math.abs(rate))}/s</b>`;
      if (wait != null && (!was || d.at - was.at > 1.5)) before.B = { at: d.at, wait };
      const dead = (q["order-placed.dlq"] || 0) + (q["inventory-reserved.dlq"] || 0) + (q["order-status.dlq"] || 0);
      return [`${title("order-placed", "order-placed")}<br><span class="num">${n}</span> <span class="small">wait${trend}</span><div class="bar"><i style="width:${Math.min(100, (wait || 0) / 20)}%"></i></div>${dead ? `<span class="small"><b style="display:inline">${n0(dead)}</b> dead-lettered</span>` : old}`,
        `${title("inventory-reserved", "inventory-<wbr>reserved")}<br><span class="num">${q["inventory-reserved"] == null ? "?" : n0(q["inventory-reserved"])}</span>`];
    }
    const lag = d.lag || [], of = g => lag.filter(r => r.group == g), sum = rows => rows.reduce((a, r) => a + r.lag, 0);
    const worst = rows => ["LOST", "OPEN", "STALL", "WARN", "OK"].find(s => rows.some(r => r.state.startsWith(s))) || "";
    const mine = of("inventory-consumer-group"), next = of("notification-consumer-group"), most = Math.max(400, ...mine.map(r => r.lag));
    const table = mine.length ? `<table class="parts" aria-label="Lag of inventory, by partition"><tbody>${mine.map(r => `<tr><th scope="row">${r.partition}</th><td class="w"><div class="bar"><i style="width:${r.lag / most * 100}%"></i></div></td><td>${n0(r.lag)}</td><td>${typeof r["lag-seconds"] == "number" ? r["lag-seconds"].toFixed(1) + " s" : "–"}</td><td><span class="st ${r.state}">${r.state}</span></td></tr>`).join("")}</tbody></table>` : '<span class="small">nothing read yet</span>';
    return [`${title("order-events", "order-events")}${table}`, `${title("inventory-events", "inventory-<wbr>events")}<br><span class="num">${next.length ? n0(sum(next)) : "?"}</span> <span class="st ${worst(next)} small">${worst(next)}</span>`, sum(of("analytics-consumer-group"))];
  }

  const pair = ([a, b]) => {
    if (a == null) return null;
    const [x, u] = took(a), [y, w] = took(b);
    return u == w ? `${x} <small>·</small> ${y} <small>${u}</small>` : `${x} <small>${u} ·</small> ${y} <small>${w}</small>`;
  };

  function fill(lane, p, d) {
    const fault = name => (d.faults || []).find(f => f.service == name && f.until == null);
    for (const name of STATIONS[p]) {
      const box = lane.querySelector(`[data-s="${p}-${name}"]`), [cls, text] = how(d.services?.[name], fault(name));
      box.classList.toggle("down", cls == "down"); box.classList.toggle("ill", cls == "ill");
      let shown = text;
      if (name == "order" && p == "B" && text == "ready" && d.outbox != null) shown = `outbox ${n0(d.outbox)}`;
      put(box.querySelector(".how"), shown);
    }
    const [one, two, an] = queue(p, d);
    put(lane.querySelector(".q1"), one);
    if (p != "A") put(lane.querySelector(".q2"), two);
    if (p == "C" && an != null && !lane.querySelector(".an").matches(".down,.ill")) put(lane.querySelector(".an .how"), ` lag ${n0(an)}`);
    const none = t => `<span class="num none">${t}</span>`, [a, c, r, n] = lane.querySelectorAll(".figs dd");
    put(a, d.accepted.toFixed(1) + (d.refused > 0.05 ? ` <small>· ${d.refused.toFixed(1)} refused</small>` : ""));
    put(c, d.completed.toFixed(1));
    put(r, pair(d.reply) || none("none yet")); put(n, pair(d.notified) || none("none yet"));
    const badge = lane.querySelector(".promise"), m = d.promises;
    lane._broken = m.broken;
    badge.classList.toggle("bad", !!m.broken);
    badge.title = m.so_far.length ? `decided at the end: ${m.so_far.join(", ")}` : "all are decided";
    put(badge, m.broken ? `✘ ${m.hold} of ${m.all} · order ${esc(m.broken[1]).slice(0, 18)} ${esc(m.broken[2])} ▸`
      : m.orders ? `✔ ${m.hold} of ${m.all} hold${m.so_far.length ? " so far" : ""} · ${n0(m.orders)} order${m.orders == 1 ? "" : "s"}` : d.reading ? "reading the lists …" : "nothing ordered yet");
  }

  function show(shape) {
    if (!shape) return;
    last = shape;
    const rows = $("#rows");
    for (const d of shape.parts) {
      const p = LETTER[d.part];
      let lane = rows.querySelector(`[data-p="${p}"]`);
      const off = !d.up;
      if (lane && lane.classList.contains("off") != off) { lane.remove(); lane = null }
      if (!lane) {
        lane = off ? document.createElement("section") : make(p);
        if (off) {
          lane.className = `lane panel off p${p}`; lane.dataset.p = p; lane.setAttribute("aria-label", `Part ${p}, not up`);
          lane.innerHTML = `${partBox(p)}<h2>${NAME[p][0]}</h2><span>is not up.</span><code>./lab up ${d.part}</code>`;
        }
        const next = [...rows.children].find(x => x.dataset.p > p);
        rows.insertBefore(lane, next || null);
        lane._new = true;
      }
      lane.hidden = alone && alone != p;
      if (off) continue;
      fill(lane, p, d);
      lane.querySelector(".solo").setAttribute("aria-pressed", alone == p);
    }
    document.documentElement.classList.toggle("one", !!alone);
    const cut = shape.parts.map(d => Object.values(d.services || {}).map(s => s.state).join()).join("|");
    if (cut != show.cut || rows.querySelector("section:not([data-drawn])")) { show.cut = cut; draw() }
    for (const d of shape.parts) if (d.up && d.at != seen[d.part]) { seen[d.part] = d.at; news(LETTER[d.part], d) }
    Card.update(shape);
  }

  /* rails: a station above each box; upper rail out, lower rail back */
  function draw() {
    if ($("#s-lanes").hidden) return;
    Z = rem() / 16;
    for (const p of "ABC") {
      delete rails[p];
      const el = $("#pipe" + p), b = el?.getBoundingClientRect();
      if (!b || !b.width) continue;
      el.closest("section").dataset.drawn = 1;
      const d = last?.parts.find(x => LETTER[x.part] == p), down = n => ["exited", "paused"].includes(d?.services?.[n]?.state);
      const sv = el.querySelector("svg"), k = [...el.children].slice(1, 7).map(c => { const r = c.getBoundingClientRect(); return r.left - b.left + r.width / 2 }), [c, o, q, i, q2, n] = k, u = 8 * Z, low = 23 * Z;
      let out = "";
      const ln = (x1, y1, x2, y2, x = "") => { out += `<path d="M${x1} ${y1}L${x2} ${y2}" stroke="var(--dim)" stroke-width="2" fill="none" ${x}/>` };
      const dead = { [o]: down("order"), [i]: down("inventory"), [n]: down("notification") };
      const stops = [c, o, ...(p == "A" ? [i, n] : [q, i, q2, n])];
      for (let j = 1; j < stops.length; j++) ln(stops[j - 1] + (dead[stops[j - 1]] ? 14 : 0), u, stops[j] - (dead[stops[j]] ? 14 : 0), u);
      ln(c, low, p == "A" ? n : o, low, 'stroke-dasharray="2 4"');
      const road = { c, o, q, i, q2, n, u, d: low, an: null };
      if (p == "C") {
        const an = el.querySelector(".an").getBoundingClientRect(), y = an.top - b.top + an.height / 2, x1 = q + el.children[3].offsetWidth / 2, x2 = an.left - b.left;
        road.an = [[x1, y], [x2, y]];
        ln(x1 + 2, y, x2 - 2, y, 'marker-end="url(#ar)"');
      }
      stops.forEach(x => { out += `<path d="M${x} ${u}V${32 * Z}" stroke="var(--ink)" stroke-width="2"/>` + (dead[x] ? `<path d="M${x - 8} ${u - 8}l16 16m0-16l-16 16" stroke="var(--ink)" stroke-width="4"/>` : `<circle cx="${x}" cy="${u}" r="${4 * Z}" fill="var(--panel)" stroke="var(--ink)" stroke-width="2"/>`) });
      rails[p] = road;
      sv.innerHTML = `<g class="flow"></g>${out}<g class="dots" fill="var(--${p})"></g>`;
    }
    dots.length = 0;
    for (const d of last?.parts || []) if (d.up) flow(LETTER[d.part], d);
  }

  const H = (y, ...xs) => xs.map(x => [x, y]);

  /* Marks of what has happened since the last look: an order was placed, reserved, notified. */
  function news(p, d) {
    const r = rails[p];
    flow(p, d);
    if (!r || $("#s-lanes").hidden || d.accepted > FLOW) return;
    if (still) while (dots.length) dots.pop().e.remove();
    const spread = Math.min(2, 0.5 / Math.max(1, d.news.length)) * SPEED * Z;
    d.news.forEach(([what, id], j) => {
      const wait = j * spread;
      if (p == "A") {
        if (what == "placed") spawn(p, id, H(r.u, r.c, r.o, r.i), 0, wait, down => down && 0);
        else if (what == "reserved") spawn(p, id, H(r.d, r.i, r.o), 1, wait, () => spawn(p, id, H(r.u, r.o, r.n), 0));
        else if (what == "notified") spawn(p, id, H(r.d, r.n, r.o, r.c), 1, wait);
        else spawn(p, id, H(r.d, r.o, r.c), 1, wait);
        return;
      }
      if (what == "placed") spawn(p, id, H(r.u, r.c, r.o), 0, wait, () => { spawn(p, id, H(r.d, r.o, r.c), 1); spawn(p, id, H(r.u, r.o, r.q), 0); if (r.an) spawn(p, id, r.an, 0, 60) });
      else if (what == "reserved") spawn(p, id, H(r.u, r.q, r.i, r.q2), 0, wait + 150 * Z);
      else if (what == "notified") spawn(p, id, H(r.u, r.q2, r.n), 0, wait + 250 * Z);
    });
  }

  /* Above 50 orders/s: no marks, a thick line with its number. */
  function flow(p, d) {
    const r = rails[p], g = $(`#pipe${p} .flow`);
    if (!r || !g) return;
    let out = "";
    const line = (x1, x2, v) => { if (v > FLOW) out += `<path d="M${x1} ${r.u}H${x2}" stroke="var(--${p})" stroke-width="${Math.min(14, 5 + v / 60) * Z}"/><text class="b halo" x="${(x1 + x2) / 2}" y="${r.u + 5 * Z}" text-anchor="middle">${n0(v)}/s</text>` };
    line(r.c + 6, r.o - 6, d.accepted);
    if (p == "A") line(r.o + 6, r.n - 6, d.completed);
    else { line(r.o + 6, r.q - 6, d.accepted); line(r.q + 6, r.n - 6, d.completed) }
    put(g, out);
  }

  function spawn(p, id, pts, back, wait = 0, next) {
    const g = $(`#pipe${p} .dots`);
    if (!g || dots.length > MARKS) return;
    const e = document.createElementNS("http://www.w3.org/2000/svg", "g");
    e.innerHTML = `<circle r="14" fill="transparent"/><use href="#m${p}"${back ? ` fill="var(--panel)" stroke="var(--${p})" stroke-width="2.5"` : ""}/>`;
    e.dataset.order = id;
    e.onclick = () => Order.show(id);
    e.style.visibility = wait ? "hidden" : "";
    const middle = still ? [(pts[0][0] + pts[1][0]) / 2, pts[0][1]] : pts[0];
    e.setAttribute("transform", `translate(${middle[0]} ${middle[1]}) scale(${Z})`);
    g.append(e);
    dots.push({ e, pts, s: 0, k: 0, wait, next });
  }

  function step(dt) {
    for (let j = dots.length; j--;) {
      const t = dots[j];
      let go = dt * SPEED * Z;
      if (t.wait > 0) { t.wait -= go; if (t.wait > 0) continue; t.e.style.visibility = ""; go = 0 }
      const a = t.pts[t.k], b = t.pts[t.k + 1], len = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
      t.s += go;
      const f = Math.min(1, t.s / len);
      t.e.setAttribute("transform", `translate(${a[0] + (b[0] - a[0]) * f} ${a[1] + (b[1] - a[1]) * f}) scale(${Z})`);
      if (f == 1) { t.s = 0; if (++t.k >= t.pts.length - 1) { t.e.remove(); dots.splice(j, 1); t.next?.() } }
    }
  }

  let lastFrame = 0;
  if (!still) requestAnimationFrame(function frame(t) { const dt = Math.min(.1, (t - lastFrame) / 1000); lastFrame = t; if (dots.length && !$("#s-lanes").hidden) step(dt); requestAnimationFrame(frame) });
  DRAW.lanes = draw;
  return { show, clear() { $("#rows").replaceChildren(); dots.length = 0; show.cut = null } };
})();
