"use strict";
/* Time: four charts on one axis of time, the faults as bands through all of them, one cursor. */
const Time = (() => {
  const CHARTS = [["replies", "Replies per second", "what the students see at once", "/s"], ["completed", "Completed per second", "order to notification", "/s"], ["waiting", "Orders that wait", "accepted, not yet notified", ""], ["oldest", "Oldest order that waits, seconds", "queue depth or lag, as time", " s"]];
  const KEPT = 600, data = {}, plots = {};
  let faults = [], prediction = null, zoom = null, cursor = null, relative = false, end = 0, built = "";

  /* Take `{part: [{at, replies, …}]}`; what is there already stays. */
  function add(seconds) {
    for (const [part, rows] of Object.entries(seconds)) {
      const p = LETTER[part], known = data[p] ||= new Map();
      for (const row of rows) known.set(row.at, row);
      for (const at of known.keys()) { if (known.size <= KEPT) break; known.delete(at) }
    }
  }

  function set(seconds, theFaults, options = {}) {
    for (const p of "ABC") delete data[p];
    relative = !!options.relative; end = options.end || 0; zoom = null; cursor = null; built = "";
    add(seconds); faults = theFaults; prediction = null;
  }

  const letters = () => [..."ABC"].filter(p => data[p]?.size);
  function axis() {
    const all = new Set();
    for (const p of letters()) for (const at of data[p].keys()) all.add(at);
    return [...all].sort((a, b) => a - b);
  }
  function range(xs) {
    if (zoom) return zoom;
    if (relative) return [0, end];
    const last = xs.at(-1) ?? Date.now() / 1000;
    return [Math.min(last - 60, Math.max(last - KEPT, xs[0] ?? last)), last];
  }
  const clock = t => relative ? `${t.toFixed(t % 1 ? 1 : 0)} s` : new Date(t * 1000).toLocaleTimeString("en-GB");

  /* A chart as high as the largest usual value; a peak beyond it is cut, and written. */
  function top(values) {
    const sorted = values.filter(v => v != null).sort((a, b) => a - b);
    if (!sorted.length) return 10;
    const most = sorted.at(-1), usual = sorted[Math.floor(sorted.length * .97)];
    return 2 * Math.ceil(Math.max(10, most > 4 * Math.max(usual, 5) ? usual * 1.5 : most * 1.1) / 2);
  }

  const hatch = { made: {} };
  function pattern(ctx, name) {
    const key = paint(name) + devicePixelRatio;
    if (!hatch.made[key]) {
      const s = Math.round(11 * devicePixelRatio), c = document.createElement("canvas"), x = c.getContext("2d");
      c.width = c.height = s;
      x.strokeStyle = paint(name); x.lineWidth = 1.8 * devicePixelRatio;
      for (const d of [-s, 0, s]) { x.beginPath(); x.moveTo(d + s, 0); x.lineTo(d, s); x.stroke() }
      hatch.made[key] = ctx.createPattern(c, "repeat");
    }
    return hatch.made[key];
  }

  const FORM = {
    A: (c, x, y, r) => c.arc(x, y, r, 0, 7),
    B: (c, x, y, r) => c.rect(x - r * .9, y - r * .9, r * 1.8, r * 1.8),
    C: (c, x, y, r) => { c.moveTo(x, y - r * 1.25); c.lineTo(x + r * 1.25, y); c.lineTo(x, y + r * 1.25); c.lineTo(x - r * 1.25, y); c.closePath() },
  };

  function make(key, box, letter) {
    const k = devicePixelRatio, size = () => Math.max(80, Math.min(230, (innerHeight - 13 * rem()) / CHARTS.length - 2.1 * rem()));
    const text = (u, t, x, y, align = "left") => { const c = u.ctx; c.font = `700 ${.8 * rem() * k}px system-ui, sans-serif`; c.textAlign = align; c.lineWidth = 5 * k; c.lineJoin = "round"; c.strokeStyle = paint("--panel"); c.strokeText(t, x, y); c.fillStyle = paint("--ink"); c.fillText(t, x, y) };
    const bands = u => {
      const c = u.ctx, { left, top: y0, width, height } = u.bbox;
      c.save(); c.beginPath(); c.rect(left, y0, width, height); c.clip();
      for (const f of faults) {
        const a = Math.max(left, u.valToPos(f.since, "x", true)), b = Math.min(left + width, u.valToPos(f.until ?? u.scales.x.max, "x", true));
        if (b <= a) continue;
        c.fillStyle = pattern(c, "--band"); c.fillRect(a, y0, b - a, height);
        f.drawn = a;
      }
      c.restore();
    };
    const over = u => {
      const c = u.ctx, { left, top: y0, width, height } = u.bbox;
      c.save(); c.beginPath(); c.rect(left - 6 * k, y0 - 8 * k, width + 12 * k, height + 16 * k); c.clip();
      letter.forEach((p, j) => {
        const xs = u.data[0], ys = u.data[j + 1], every = 84 * k;
        let next = left + j * 28 * k, peak = null;
        c.fillStyle = paint("--" + p); c.strokeStyle = paint("--panel"); c.lineWidth = k;
        for (let i = 0; i < xs.length; i++) {
          const x = u.valToPos(xs[i], "x", true);
          if (ys[i] != null && ys[i] > u.scales.y.max && x >= left && x <= left + width && (!peak || ys[i] > peak[0])) peak = [ys[i], x];
          if (x < next || ys[i] == null || ys[i] > u.scales.y.max) continue;
          c.beginPath(); FORM[p](c, x, u.valToPos(ys[i], "y", true), 4.6 * k); c.fill(); c.stroke();
          next = x + every;
        }
        if (peak) text(u, `▲ ${n0(peak[0])}${key == "waiting" ? "" : key == "oldest" ? " s" : "/s"}`, Math.min(peak[1] + 6 * k, left + width - 60 * k), y0 + 12 * k + j * 14 * k);
      });
      for (const f of faults) if (f.part && f.drawn != null && f.drawn < left + width) text(u, LETTER[f.part], f.drawn + 4 * k, y0 + .9 * rem() * k);
      if (prediction?.part && key == "waiting" && prediction.since) {
        const y = Math.max(y0 + 4 * k, u.valToPos(prediction.predicted, "y", true)), a = Math.max(left, u.valToPos(prediction.since, "x", true)), b = u.valToPos(prediction.until ?? u.scales.x.max, "x", true);
        c.setLineDash([7 * k, 5 * k]); c.strokeStyle = paint("--ink"); c.lineWidth = 2.5 * k; c.beginPath(); c.moveTo(a, y); c.lineTo(b, y); c.stroke(); c.setLineDash([]);
        const told = `predicted ${n0(prediction.predicted)}${prediction.measured != null ? ` · measured ${n0(prediction.measured)} ${prediction.holds ? "✔" : "✘"}` : ""}`;
        text(u, told, b - left > width / 2 ? b - 4 * k : b + 6 * k, y + 14 * k, b - left > width / 2 ? "right" : "left");
      }
      c.restore();
    };
    const line = () => ({ stroke: () => paint("--dim"), grid: { stroke: () => paint("--line"), width: 1 }, ticks: { show: false }, font: `${.8 * rem()}px system-ui, sans-serif` });
    return new uPlot({
      width: box.clientWidth, height: size(), padding: [8, 8, 4, 0],
      scales: { x: { time: false, range: () => range(axisNow) }, y: { range: (u, lo, hi) => [0, top(letter.flatMap((_, j) => u.data[j + 1]))] } },
      series: [{}, ...letter.map(p => ({ label: p, stroke: () => paint("--" + p), width: 2.5, points: { show: false }, spanGaps: false }))],
      axes: [{ ...line(), show: key == "oldest", size: 1.5 * rem(), space: 6 * rem(), values: (u, ticks) => ticks.map(t => u.valToPos(t, "x") > u.over.clientWidth - 2 * rem() ? "" : clock(t)), grid: { show: false } }, { ...line(), size: 3 * rem(), splits: u => { const m = u.scales.y.max; return [0, m / 2, m] }, values: (u, ticks) => ticks.map(v => n0(v)), space: 20 }],
      legend: { show: false },
      cursor: { sync: { key: "time", setSeries: false }, y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
      hooks: {
        drawAxes: [bands], draw: [over],
        setCursor: [u => { if (u.cursor.left >= 0 && u.cursor.event) { cursor = u.posToVal(u.cursor.left, "x"); keys() } }],
        setSelect: [u => { if (u.select.width > 8 && u.cursor.event) { zoom = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")]; u.setSelect({ left: 0, width: 0 }, false); draw() } }],
      },
    }, [[], ...letter.map(() => [])], box);
  }

  let axisNow = [];
  function build() {
    const letter = letters(), want = letter.join() + rem() + innerWidth + "x" + innerHeight + paint("--ink");
    if (built == want) return;
    built = want;
    for (const key of Object.keys(plots)) { plots[key].destroy(); delete plots[key] }
    $("#times").innerHTML = `<div class="panel chart" id="ch-f"><div><svg role="img" aria-label="Faults"></svg></div><p class="small" style="align-self:end"><b style="font-size:1.2rem" id="curt"></b><br><span class="dim nobig">cursor: mouse, ← → · drag to zoom</span> <button id="unzoom" class="small" hidden>All</button></p></div>`
      + CHARTS.map(([key, t, s]) => `<div class="panel chart" id="ch-${key}"><div class="plot"><h2>${t} <span class="sub" style="font-weight:400">${s}</span></h2><div class="u" role="img" aria-label="${t}"></div></div><ul class="key"></ul></div>`).join("");
    $("#unzoom").onclick = () => { zoom = null; draw() };
    for (const [key] of CHARTS) {
      const box = $(`#ch-${key} .u`);
      plots[key] = make(key, box, letter);
      box.ondblclick = () => { zoom = null; draw() };
    }
  }

  function keys() {
    const at = cursor ?? axisNow.at(-1);
    for (const [key, , , unit] of CHARTS) {
      put($(`#ch-${key} .key`), letters().map(p => {
        const row = at == null ? null : near(p, at), v = row?.[key];
        return `<li>${partBox(p)}${v == null ? "–" : key == "waiting" ? n0(v) : v.toFixed(1)}${v == null ? "" : unit}</li>`;
      }).join(""));
    }
    put($("#curt"), at == null ? "" : (cursor == null && !relative ? "now " : "") + clock(Math.round(at)));
  }
  const near = (p, at) => [0, -1, 1, -2, -3].map(d => data[p].get(Math.round(at) + d)).find(row => row);

  function strip() {
    const sv = $("#ch-f svg"), r = rem(), W = sv.parentElement.clientWidth, h = 1.3 * r, m = 3 * r, [a, b] = range(axisNow), X = t => m + (W - m - 8) * (Math.min(b, Math.max(a, t)) - a) / (b - a || 1), letter = letters();
    sv.setAttribute("height", h * letter.length + .2 * r); sv.setAttribute("width", W);
    sv.innerHTML = letter.map((p, i) => `<text x="${m - 1.1 * r}" y="${h * i + .95 * r}" class="b">${p}</text><path d="M${m} ${h * i + .65 * r}H${W - 8}" stroke="var(--line)"/>`).join("")
      + faults.map(f => {
        const p = LETTER[f.part], i = letter.indexOf(p), x1 = X(f.since), x2 = X(f.until ?? b), end = f.until ?? b;
        if (i < 0 || end < a || f.since > b) return "";
        const t = `${esc(f.service)} ${esc(f.what)} · ${n0(Math.max(0, end - f.since))} s`, wide = t.length * .5 * r, inside = x2 + wide > W && x1 - wide < 0, right = !inside && x2 > W / 2;
        return `<rect x="${x1}" y="${h * i + 2}" width="${Math.max(3, x2 - x1)}" height="${h - 5}" fill="var(--panel)"/><rect x="${x1}" y="${h * i + 2}" width="${Math.max(3, x2 - x1)}" height="${h - 5}" fill="url(#hx)" stroke="var(--${p})" stroke-width="2"/><text x="${inside ? Math.max(m, x1) + 8 : right ? x1 - 6 : x2 + 6}" y="${h * i + .95 * r}" class="b halo" text-anchor="${right ? "end" : "start"}">${t}</text>`;
      }).join("") + (cursor == null ? "" : `<path d="M${X(cursor)} 0V${h * letter.length}" stroke="var(--ink)" stroke-width="1.5"/>`);
  }

  function draw() {
    if ($("#s-time").hidden) return;
    axisNow = axis();
    const letter = letters();
    if (!letter.length) { $("#times").innerHTML = '<p class="panel">Nothing was measured yet: no part is up.</p>'; built = ""; return }
    build();
    for (const [key] of CHARTS) {
      const u = plots[key], box = u.root.parentElement;
      if (box.clientWidth && box.clientWidth != u.width) u.setSize({ width: box.clientWidth, height: u.height });
      // null is a gap, in which the page did not look; undefined a second of which another part has a row
      u.setData([axisNow, ...letter.map(p => axisNow.map(at => data[p].get(at)?.[key]))]);
    }
    $("#unzoom").hidden = !zoom;
    strip(); keys();
  }

  addEventListener("keydown", e => {
    const d = { ArrowRight: 1, ArrowLeft: -1, Escape: 0 }[e.key];
    if (d == null || $("#s-time").hidden || e.target.getAttribute("role") == "tab" || !axisNow.length) return;
    cursor = d ? Math.max(axisNow[0], Math.min(axisNow.at(-1), Math.round(cursor ?? axisNow.at(-1)) + d * 5)) : null;
    for (const u of Object.values(plots)) u.setCursor({ left: cursor == null ? -10 : u.valToPos(cursor, "x"), top: 0 }, false);
    strip(); keys();
  });
  DRAW.time = draw;
  return { add, set, draw, faults(all, predicted) { faults = all; prediction = predicted; draw() } };
})();
