"use strict";
/* Runs: what was predicted, and what came out. A finished run plays back from its raw files: here, in the lanes, in the charts. */
const Play = (() => {
  const VERDICT = { pass: "✔ pass", fail: "✘ fail", unknown: "? unknown" };
  let run = null, name = "", t = 0, timer = null, speed = 10, on = false, lists = null;
  const MARK = { pass: "✔", fail: "✘", unknown: "?" };

  const below = (list, x) => { let lo = 0, hi = list.length; while (lo < hi) { const m = (lo + hi) >> 1; if (list[m] <= x) lo = m + 1; else hi = m } return lo };
  const sorted = list => list.filter(x => x != null).sort((a, b) => a - b);
  const quantile = (list, q) => list.length ? list.sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(q * list.length))] : null;
  const at = (rows, x) => { const i = below(rows.map(r => r[0]), x); return i ? rows[i - 1][1] : {} };

  function load(found, its) {
    run = found; name = its; t = 0; on = false;
    lists = { placed: sorted(run.orders.map(o => o[0])), reserved: sorted(run.orders.map(o => o[1])), ended: sorted(run.orders.map(o => o[2])), notified: sorted(run.orders.filter(o => !o[3]).map(o => o[2])) };
    build();
  }
  const waiting = x => below(lists.placed, x) - below(lists.ended, x);
  const oldest = x => { let found = 0; for (const o of run.orders) { if (o[0] > x) break; if (o[2] == null || o[2] > x) { found = x - o[0]; break } } return found };
  const standing = x => run.faults.filter(f => f.since <= x && (f.until == null || f.until > x));

  /* The same shape as the live one, at one moment of the run. */
  function shape(x, before) {
    const per = (list, s) => (below(list, x) - below(list, x - s)) / s, services = {}, faults = standing(x);
    for (const s of ["order", "inventory", "notification", "analytics", "rabbitmq", "kafka"]) {
      const mine = faults.filter(f => f.service == s), dead = mine.some(f => /killed|stopped/.test(f.what)), frozen = mine.some(f => f.what == "frozen");
      services[s] = { state: dead ? "exited" : frozen ? "paused" : "running", ready: "yes", config: {}, faults: mine.map(f => f.what) };
    }
    const news = [];
    if (x - before < 3) for (const o of run.orders) {
      if (o[0] > x) break;
      for (const [k, what] of [[0, "placed"], [1, "reserved"], [2, o[3] ? "failed" : "notified"]]) if (o[k] != null && o[k] > before && o[k] <= x) news.push([what, o[4] || ""]);
    }
    const recent = run.replies.filter(r => r[0] > x - 10 && r[0] <= x && r[2]).map(r => r[1]), done = run.orders.filter(o => !o[3] && o[2] > x - 10 && o[2] <= x).map(o => o[2] - o[0]);
    const samples = at(run.samples, x), lag = at(run.lag, x), rows = [];
    for (const [key, v] of Object.entries(lag)) { const m = key.match(/^(\S+) (\S+)\[(\d+)\]$/); if (m) rows.push({ group: m[1], topic: m[2], partition: +m[3], lag: v, "lag-seconds": null, state: v ? "" : "OK" }) }
    const broken = run.invariants.find(i => i.verdict == "fail");
    return { now: x, playing: true, rates: {}, parts: [{
      part: run.part, up: true, at: x, services, faults: faults.map(f => ({ ...f, part: run.part })), accepted: per(lists.placed, 5), completed: per(lists.notified, 5), refused: 0,
      reply: [quantile(recent, .5), quantile(recent, .99)], notified: [quantile(done, .5), quantile(done, .99)], waiting: waiting(x), oldest: oldest(x), news: news.slice(-60),
      queues: run.samples.length ? samples : undefined, outbox: samples.outbox, lag: rows,
      promises: { all: run.invariants.length, hold: run.invariants.filter(i => i.verdict == "pass").length, orders: run.orders.length, so_far: [], broken: broken ? [broken.id, (broken.sentence.match(/[0-9a-f]{8}-[0-9a-f-]{27}/) || [broken.id])[0], broken.rule] : null },
    }] };
  }

  function seconds() {
    const rows = [];
    for (let s = 0; s <= run.seconds; s++) {
      const row = run.per_second[s] || { ok: 0, fail: 0, info: 0, notified: 0 };
      rows.push({ at: s, replies: row.ok + row.fail + row.info, completed: row.notified, waiting: waiting(s), oldest: +oldest(s).toFixed(1) });
    }
    return { [run.part]: rows };
  }

  function build() {
    const p = LETTER[run.part];
    $("#player").innerHTML = `<div class="find" style="margin:0">${partBox(p)}<h2 style="font-size:1.15rem">${esc(name)}</h2><b class="v ${run.verdict}">${VERDICT[run.verdict]}</b><button class="small push" id="plin">Play in lanes</button></div>
<p class="small">${esc(run.title)}</p>
<div class="mini">${[["accepted", "pa"], ["notified", "pn"], ["wait", "pw"], ["faults", "pi"]].map(([text, i]) => `<div><div class="small dim">${text}</div><div class="num" id="${i}"></div></div>`).join("")}</div>
<h2 class="h3">Orders that wait</h2><svg id="psv" style="display:block;width:100%;overflow:visible" role="img" aria-label="Orders that wait, over the run"></svg>
<div class="play"><button class="do" id="pp" aria-label="Play">▶</button><input type="range" id="scrub" aria-label="Time in the run" min="0" max="${Math.round(run.seconds * 10)}" value="0"><b id="pt"></b><select id="pspeed" aria-label="Speed"><option value="1">1×</option><option value="10" selected>10×</option></select></div>
<table class="t" style="margin-top:.5rem"><thead><tr><th>prediction, written down before</th><th class="r">predicted</th><th class="r">measured</th><th><span class="vh">holds</span></th></tr></thead><tbody>${run.predictions.map(q => `<tr><td>${esc(q[0])}</td><td class="r nw">${esc(q[1])}</td><td class="r nw">${esc(q[2])}</td><td class="v ${q[3]}">${MARK[q[3]]}</td></tr>`).join("")}</tbody></table>
<p style="margin-top:.4rem" class="small">${MARK[run.invariants.some(i => i.verdict == "fail") ? "fail" : run.invariants.some(i => i.verdict != "pass") ? "unknown" : "pass"]} ${run.invariants.filter(i => i.verdict == "pass").length} of ${run.invariants.length} invariants hold${inlineRun ? "" : ` · <a href="/api/report/${esc(name)}" target="_blank" rel="noopener">report</a> · <code>./lab report --html ${esc(run.name)}</code>`}</p>
${run.invariants.filter(i => i.verdict != "pass").map(i => `<p class="small"><b>${i.id}</b> ${esc(i.rule)} ${esc(i.sentence)}</p>`).join("")}`;
    $("#scrub").oninput = e => seek(+e.target.value / 10);
    $("#pp").onclick = toggle;
    $("#pspeed").onchange = e => { speed = +e.target.value };
    $("#plin").onclick = () => { lanes(); go("lanes"); if (!timer) toggle() };
    seek(0);
    draw();
  }

  function toggle() {
    if (timer) { clearInterval(timer); timer = null }
    else timer = setInterval(() => { if (t >= run.seconds) return toggle(); seek(Math.min(run.seconds, t + .1 * speed)) }, 100);
    for (const b of $$("#pp,#pp2")) { b.textContent = timer ? "❚❚" : "▶"; b.setAttribute("aria-label", timer ? "Pause" : "Play") }
  }

  let shownAt = 0;
  function seek(x) {
    t = x;
    if ($("#scrub")) $("#scrub").value = x * 10;
    $("#ptime") && ($("#ptime").textContent = `${x.toFixed(1)} s`);
    if (on && Math.abs(x - shownAt) > .3) { Lanes.show(shape(x, shownAt)); shownAt = x }
    draw();
  }

  /* Let the lanes and the charts show this run instead of what is live. */
  function lanes() {
    on = true; shownAt = t;
    Lanes.clear(); Card.close();
    Time.set(seconds(), run.faults.map(f => ({ ...f, part: run.part })), { relative: true, end: run.seconds });
    $("#load").hidden = true;
    const box = $("#playing");
    box.hidden = false;
    box.innerHTML = `PLAYS ${esc(name)} <span id="ptime"></span><button id="pp2" aria-label="Play">▶</button>${inlineRun ? "" : '<button id="pstop">Back to live</button>'}`;
    $("#pp2").onclick = toggle;
    if ($("#pstop")) $("#pstop").onclick = stop;
    Lanes.show(shape(t, t));
  }

  function stop() {
    if (timer) toggle();
    on = false; $("#playing").hidden = true;
    Lanes.clear(); App.resume();
  }

  function draw() {
    const sv = $("#psv");
    if (!run || !sv || !sv.clientWidth) return;
    const r = rem(), W = sv.clientWidth, Hh = Math.max(140, Math.min(210, innerHeight - 40 * r)), m = 3.2 * r, T = run.seconds, p = LETTER[run.part], most = Math.max(10, 1.1 * (run.waiting_predicted || 0), ...run.per_second.map((_, s) => waiting(s)), waiting(t)) * 1.1, X = s => m + (W - m - 8) * s / T, Y = v => Hh - 1.5 * r - (Hh - 2.3 * r) * v / most, w = waiting(t);
    sv.setAttribute("height", Hh);
    const line1 = Y(most) + r, near = run.waiting_predicted != null && Math.abs(Y(run.waiting_predicted) - line1) < 1.3 * r;
    let o = "", row = near ? 1 : 0;
    for (const f of run.faults) { const a = X(f.since), b = X(f.until ?? T); o += `<rect x="${a}" y="${Y(most)}" width="${Math.max(2, b - a)}" height="${Y(0) - Y(most)}" fill="url(#hl)"/>` }
    if (run.waiting_predicted != null) { const y = Y(run.waiting_predicted); o += `<path d="M${m} ${y}H${W - 8}" stroke="var(--ink)" stroke-width="2.5" stroke-dasharray="7 5"/><text class="b halo" x="${W - 12}" y="${y - .35 * r}" text-anchor="end">predicted ${n0(run.waiting_predicted)}</text>` }
    for (const v of [0, most / 2, most]) o += `<path d="M${m} ${Y(v)}H${W - 8}" stroke="var(--line)"/><text class="d" x="${m - 8}" y="${Y(v) + .28 * r}" text-anchor="end">${n0(v)}</text>`;
    for (let i = 0; i <= 5; i++) o += `<text class="d" x="${X(T * i / 5)}" y="${Hh - 2}" text-anchor="${i == 5 ? "end" : "middle"}">${n0(T * i / 5)} s</text>`;
    const line = (a, b) => { let s = ""; const d = Math.max(.1, T / 600); for (let i = a; i <= b; i += d) s += (s ? "L" : "M") + X(i).toFixed(1) + " " + Y(waiting(i)).toFixed(1); return s };
    o += `<path d="${line(0, T)}" fill="none" stroke="var(--${p})" stroke-width="2" opacity=".45"/><path d="${line(0, t)}" fill="none" stroke="var(--${p})" stroke-width="3.5"/><path d="M${X(t)} ${Y(most)}V${Y(0)}" stroke="var(--ink)" stroke-width="1.5"/><use href="#m${p}" x="${X(t)}" y="${Y(w)}" fill="var(--${p})" stroke="var(--panel)"/>`;
    for (const f of run.faults.slice(0, 4)) { const a = X(f.since), right = a > W * .6; o += `<text class="b halo" x="${right ? a - 4 : a + 6}" y="${Y(most) + (1 + row++ % 3 * 1.1) * r}" text-anchor="${right ? "end" : "start"}">${esc(f.service)} ${esc(f.what)} · ${f.until == null ? "to the end" : (f.until - f.since).toFixed(1) + " s"}</text>` }
    sv.innerHTML = o;
    $("#pa").textContent = n0(below(lists.placed, t)); $("#pw").textContent = n0(w); $("#pn").textContent = n0(below(lists.notified, t)); $("#pt").textContent = t.toFixed(1) + " s";
    const standing_ = standing(t);
    put($("#pi"), standing_.length ? `<span class="hatch" style="padding:0 .4rem"><span class="chip" style="margin:0;font-size:1rem">${esc(standing_[0].service)} ${esc(standing_[0].what)}${standing_.length > 1 ? ` +${standing_.length - 1}` : ""}</span></span>` : '<span class="num none">none now</span>');
  }

  async function list() {
    if (inlineRun || list.done) return draw();
    list.done = true;
    await act(null, async () => {
      const { runs } = await ask("/api/runs");
      $("#runcount").textContent = `${runs.filter(r => !r.name.startsWith("quick/")).length} committed · ${runs.filter(r => r.name.startsWith("quick/")).length} quick`;
      $("#runlist").innerHTML = runs.map(r => `<tr data-run="${esc(r.name)}" data-v="${r.verdict}"><td>${partBox(LETTER[r.part])}</td><td><button class="runrow">${esc(r.name.replace(/^(sync-rest|async-rabbitmq|streaming-kafka)\//, "")).replace(/[/_]/g, "$&<wbr>")}</button></td><td class="v ${r.verdict}">${VERDICT[r.verdict]}${r.meant ? ", as meant" : ""}</td><td class="r">${n0(r.orders)}</td><td class="r">${r.predictions[0]} of ${r.predictions[1]}</td></tr>`).join("");
      $$("#runlist .runrow").forEach(b => b.onclick = () => open(b.closest("tr")));
      $("#vf").onchange = e => $$("#runlist tr").forEach(row => row.hidden = e.target.value != "all" && row.dataset.v != e.target.value);
    });
    draw();
  }

  async function open(row) {
    if (timer) toggle();
    if (on) stop();
    $$("#runlist tr").forEach(x => x.classList.toggle("chosen", x == row));
    $$("#runlist button").forEach(b => b.removeAttribute("aria-current"));
    row.querySelector("button").setAttribute("aria-current", "true");
    await act(null, async () => load(await ask(`/api/run/${row.dataset.run}`), row.dataset.run));
  }

  async function order(id) {
    if (!inlineRun) return ask(`/api/order/${encodeURIComponent(id)}?run=${encodeURIComponent(name)}`);
    const found = run.orders.find(o => o[4] == id);
    if (!found) throw new Error(`this run has no order ${id}`);
    const stamp = s => new Date(Date.parse(run.began) + s * 1000).toISOString().replace("Z", "000Z");
    const timeline = [["placed", found[0]], ["reserved", found[1]], [found[3] ? "failed" : "notified", found[2]]].filter(s => s[1] != null).map(([status, x]) => ({ status, at: stamp(x) }));
    return { part: run.part, partial: true, order: { order_id: id, status: timeline.at(-1).status, timeline, items: [] }, reservation: found[1] != null ? { status: "reserved", items: [], at: stamp(found[1]) } : null, notifications: found[3] || found[2] == null ? [] : [{ user_id: "", at: stamp(found[2]) }], log: [], log_note: "This file holds the times of each order; the raw files beside it hold all.",
      steps: timeline.map(s => ({ at: (Date.parse(s.at) - Date.parse(timeline[0].at)), kind: "commit", from: { placed: "order", reserved: "inventory", notified: "notification", failed: "order" }[s.status], to: "order", text: s.status })) };
  }

  DRAW.runs = list;
  return { load, lanes, order, get on() { return on } };
})();
