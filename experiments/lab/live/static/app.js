"use strict";
/* The live part: server-sent events in, clicks out. In a file (`./lab report --html`) there is a run and nothing else. */
const App = (() => {
  let shape = null, heard = 0, history_ = null;
  const ages = () => {
    if (inlineRun || Play.on) { $("#fresh").textContent = ""; return }
    const box = $("#fresh");
    if (!shape) { box.textContent = "connecting"; return }
    const up = shape.parts.filter(d => d.up), lost = (performance.now() - heard) / 1000;
    const age = Math.max(lost, ...up.map(d => shape.now - d.at + lost));
    box.textContent = lost > 3 ? `connection lost ${n0(lost)} s ago` : up.length ? `figures ${age.toFixed(1)} s old` : "no part is up";
    box.classList.toggle("stale", lost > 3 || up.length > 0 && age > 1);
    $("#rows").classList.toggle("gone", lost > 3);
  };

  function take(found) {
    shape = found; heard = performance.now();
    if (Play.on) return;
    const up = shape.parts.filter(d => d.up);
    $("#load").hidden = !up.length;
    put($("#lpart"), (up.length > 1 ? ['<option value="">all</option>'] : []).concat(up.map(d => `<option value="${d.part}">${LETTER[d.part]}</option>`)).join(""));
    Lanes.show(shape);
    Time.add(shape.seconds);
    Time.faults(shape.parts.flatMap(d => (d.faults || []).map(f => ({ ...f, part: d.part }))), shape.prediction);
    const rate = Math.max(0, ...Object.values(shape.rates));
    if (document.activeElement != $("#rate")) { $("#rate").value = rate; $("#rateo").textContent = `${rate}/s` }
    const m = shape.prediction;
    put($("#pres"), !m.state ? "" : m.state == "done" ? `→ ${n0(m.measured)} ${m.holds ? "✔" : "✘"} in ${LETTER[m.part]}` : m.state == "runs" ? `runs in ${LETTER[m.part]} …` : esc(m.state));
    const trouble = up.find(d => d.trouble && Object.values(d.services).every(s => s.state == "running"));
    if (trouble) say(`${LETTER[trouble.part]}: ${trouble.trouble}`); else if ($("#say").textContent.match(/^[ABC]: /)) say("");
  }

  const chosen = () => { const one = $("#lpart").value; return one ? [one] : shape.parts.filter(d => d.up).map(d => d.part) };
  function controls() {
    $("#one").onclick = e => act(e.target, async () => { for (const part of chosen()) await ask("/api/load", { one: part }) });
    $("#rate").oninput = e => { $("#rateo").textContent = `${e.target.value}/s` };
    $("#rate").onchange = e => act(null, () => ask("/api/load", { rate: +e.target.value, parts: chosen() }));
    $("#stop").onclick = e => act(e.target, () => ask("/api/load", { rate: 0 }));
    $("#send").onclick = e => act(e.target, async () => { for (const part of chosen()) await ask("/api/load", { part, count: +$("#bulk").value }) });
    $("#prun").onclick = e => act(e.target, () => {
      if ($("#pre").value === "") throw new Error("Predict first: write down how many orders will wait at most");
      return ask("/api/predict", { part: chosen().at(-1), seconds: +$("#psec").value, rate: +$("#rate").value || 20, predicted: +$("#pre").value });
    });
  }

  function listen() {
    const events = new EventSource("/events");
    events.addEventListener("history", e => { history_ = JSON.parse(e.data); if (!Play.on) { Time.set(history_, []) } });
    events.onmessage = e => take(JSON.parse(e.data));
  }

  tabs();
  if (inlineRun) {
    Play.load(inlineRun, inlineRun.name.split("/").at(-1));
    $("#rn").style.gridTemplateColumns = "minmax(0,1fr)"; $("#runpanel").hidden = true;
    Play.lanes();
  } else { controls(); listen() }
  setInterval(ages, 250);
  go((TABS.find(([i]) => "#" + i == location.hash) || TABS[0])[0]);
  return { resume() { Time.set(history_ || {}, []); listenAgain() } };

  /* After a run was played: the seconds that went by meanwhile come with a new history. */
  function listenAgain() { location.reload() }
})();
