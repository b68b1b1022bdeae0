"use strict";
/* One order: why was it late, and was it done once? Time is not to scale: each step has a line and its ms. */
const Order = (() => {
  let found = null;
  const times = n => ["never", "once"][n] ?? n + " times";
  const ms = x => x >= 1000 ? n0(x) : +x.toFixed(1);

  function sequence() {
    const el = $("#seq");
    if (!found || !el.clientWidth) return;
    const who = found.actors || ["client", "order", "inventory", "notification"], S = found.steps, p = LETTER[found.part];
    const r = rem(), W = el.clientWidth - 1.6 * r, h = Math.max(1.72 * r, Math.min(2.3 * r, (innerHeight - 12 * r) / (S.length || 1))), l = 5.2 * r, X = i => l + 2.6 * r + (W - l - 6.4 * r) * i / (who.length - 1), top = 2.1 * r, B = top + S.length * h + 6, cy = i => top + h * i + h * .62;
    let o = "";
    who.forEach((w, i) => { o += `<path d="M${X(i)} ${top - 4}V${B}" stroke="var(--line)" stroke-width="2"/><text class="b" style="font-size:${X(1) - X(0) < 6.6 * r ? .8 : .95}rem" x="${X(i)}" y="${1.1 * r}" text-anchor="middle">${w}</text>` });
    S.forEach((s, i) => {
      const y = cy(i), a = X(Math.max(0, who.indexOf(s.from))), b = X(Math.max(0, who.indexOf(s.to))), mid = (a + b) / 2;
      if (s.kind == "gap") { o += `<path d="M0 ${y}H${W}" stroke="var(--dim)" stroke-dasharray="2 6"/><text class="halo" x="${(X(0) + X(1)) / 2 + r}" y="${y + .28 * r}">⋮ ${esc(s.text)} ⋮</text>`; return }
      o += `<text class="d" x="${l - 4}" y="${y + .28 * r}" text-anchor="end">${ms(s.at)} ms</text>`;
      if (s.crash) {
        let end = i + 1;
        while (end < S.length && (S[end].kind == "gap" || S[end].from != s.from && S[end].to != s.from)) end++;
        const bottom = end < S.length ? cy(end) - .9 * r : B, left = a > W / 2, c = .5 * r;
        o += `<rect x="${a - .55 * r}" y="${y}" width="${1.1 * r}" height="${Math.max(0, bottom - y)}" fill="var(--panel)"/><rect x="${a - .55 * r}" y="${y}" width="${1.1 * r}" height="${Math.max(0, bottom - y)}" fill="url(#hx)" stroke="var(--ink)"/>`
          + `<path d="M${a - c} ${y - c}l${2 * c} ${2 * c}m0-${2 * c}l-${2 * c} ${2 * c}" stroke="var(--badfill)" stroke-width="4"/>`
          + (end < S.length ? `<circle cx="${a}" cy="${bottom}" r="${.35 * r}" fill="var(--panel)" stroke="var(--ink)" stroke-width="2.5"/>` : "")
          + `<text class="b halo" x="${a + (left ? -1 : 1) * r}" y="${y + .28 * r}" text-anchor="${left ? "end" : "start"}">${esc(s.text)}</text>`;
        return;
      }
      if (s.kind == "commit" || s.kind == "trouble") {
        const w = s.text.length * .5 * r + r, x = Math.min(W - w - 2, Math.max(l, a - w / 2));
        o += `<rect x="${x}" y="${y - .72 * r}" width="${w}" height="${1.32 * r}" fill="var(--fill)" stroke="var(--ink)"${s.kind == "trouble" ? ' stroke-dasharray="4 3"' : ""}/><text x="${x + w / 2}" y="${y + .24 * r}" text-anchor="middle"${s.kind == "trouble" ? ' class="b"' : ""}>${esc(s.text)}</text>`;
        return;
      }
      const d = b > a ? 1 : -1, thin = s.kind == "reply";
      o += `<path d="M${a + d * 2} ${y}H${b - d * 3}" stroke="var(--${thin ? "dim" : p})" stroke-width="${thin ? 1.5 : 2.75}"${thin ? ' stroke-dasharray="2 4"' : s.again ? ' stroke-dasharray="7 4"' : ""}${s.lost ? "" : ' marker-end="url(#ar)"'}/>${s.lost ? `<text class="b" x="${b - d * .6 * r}" y="${y + .3 * r}" text-anchor="middle">✕</text>` : ""}<text class="halo" x="${mid}" y="${y - .32 * r}" text-anchor="middle">${esc(s.text)}</text>`;
    });
    el.innerHTML = `<svg width="${W}" height="${B + 4}" role="img" aria-label="Sequence of one order in ${S.length} steps: ${esc(S.filter(s => s.kind != "gap").map(s => `${s.from}${s.to == s.from ? "" : " to " + s.to}: ${s.text}`).join("; "))}">${o}</svg>`;
  }

  function show(found_) {
    found = found_;
    const order = found.order, zero = Date.parse(order.timeline[0].at), micro = at => (Date.parse(at) - zero) + (+at.slice(23, 26) - +order.timeline[0].at.slice(23, 26)) / 1000;
    $("#ofound").hidden = false; $("#onone").hidden = true;
    put($("#opart"), partBox(LETTER[found.part]));
    const last = order.timeline.at(-1), [v, u] = took(micro(last.at) / 1000), r = found.reservation, n = found.notifications.length;
    const killed = Object.entries(Object.groupBy(found.steps.filter(s => s.crash), s => s.from)).map(([w, all]) => ` · ${esc(w)} killed ${times(all.length)}`).join("");
    put($("#osum"), `<b>${order.status}</b>${order.reason ? ": " + esc(order.reason) : ""} after <b>${v} ${u}</b>${killed} · ${r && r.status != "failed" ? r.status + " once" : "nothing reserved"} · notified ${times(n)} · <span id="orec">${found.recorded ? "as its services recorded it" : "from its timeline"}</span>`);
    const items = list => list.map(i => `${i.qty} ${esc(i.sku)}`).join(", ");
    put($("#oside"), `<div class="panel"><h2 class="h3">Timeline</h2><table class="t"><thead><tr><th>at (UTC)</th><th>status</th><th class="r">since placed</th></tr></thead><tbody>${order.timeline.map(s => `<tr><td>${s.at.slice(11, found.partial ? 23 : -1)}</td><td>${s.status}</td><td class="r">${ms(micro(s.at))} ms</td></tr>`).join("")}</tbody></table>
${found.partial ? "</div>" : `<p class="small"><b>Reservation</b> ${r ? `${r.status}: ${items(r.items)}` : "none"} · <b>Notification</b> ${n ? `to “${esc(found.notifications[0].user_id)}”, ${n} row${n > 1 ? "s" : ""}` : "none"}</p></div>
<div class="panel"><h2 class="h3">Raw</h2><pre tabindex="0" aria-label="Raw JSON">${esc(JSON.stringify({ order, reservation: r, notifications: found.notifications }, null, 2))}</pre></div>`}
<div class="panel"><h2 class="h3">Log lines of its request</h2>${found.log.length ? `<pre tabindex="0" aria-label="Log lines">${found.log.map(g => `${g.at.slice(17, 23)} ${g.of.padEnd(12)} ${esc(g.path ? `${g.method} ${g.path} ${g.status} in ${g.ms} ms` : g.trace ? `${g.trace} ${g.what}` : g.message + (g.why ? ": " + g.why : ""))}`).join("\n")}</pre>` : `<p class="small">${found.log_note || "No log is kept with a finished run; a consumer writes a line only when something goes wrong."}</p>`}</div>`);
    if (!found.recorded && !found.partial) $("#oside").insertAdjacentHTML("afterbegin", `<div class="panel small">The messages of this order were not recorded, so the diagram shows what follows from its timeline. <code>TRACE_ORDERS=20 ./lab up ${found.part}</code> records the first 20 orders after each quiet second, and every order that a fault touches.</div>`);
    sequence();
  }

  async function open(id) {
    go("order");
    $("#oid").value = id;
    await act(null, async () => show(Play.on || inlineRun ? await Play.order(id) : await ask(`/api/order/${encodeURIComponent(id)}`)));
  }
  $("#oshow").onclick = () => open($("#oid").value.trim());
  $("#oid").onkeydown = e => { if (e.key == "Enter") open(e.target.value.trim()) };
  DRAW.order = sequence;
  return { show: open };
})();
