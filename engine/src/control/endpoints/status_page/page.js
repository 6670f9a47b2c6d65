// What the process says, section by section, as it says it.

const at = (id) => document.getElementById(id);
const seen = { overview: null, upstreams: null, history: null, refusals: null, certificates: null, clients: null, imported: null };
const faultsBefore = new Map();
const rates = { requests: null, time: null, list: [], busy: new Map(), shares: new Map() };

const now = () => seen.overview?.now ?? Date.now() / 1000;

function age(seconds) {
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : "< 1 min";
}

// What it is made of belongs on the command line.
const driver = (text) => text.replace(/ \([^)]*\)/g, "");
const counting = (count, one, more) => `${many(count)} ${count === 1 ? one : more}`;

const ago = (time) => (time ? `${age(Math.max(0, now() - time))} ago` : "");

function daysPill(days) {
  if (days === null || days === undefined) return { text: "not said" };
  if (days < 0) return { pill: "bad", text: "expired" };
  return { pill: days < 14 ? "bad" : days < 30 ? "warn" : "good", text: days === 1 ? "1 day" : `${many(days)} days` };
}

const STATES = { usable: "good", probing: "warn", "set-aside": "bad", unhealthy: "bad", failing: "bad", draining: "note", disabled: "note" };

function nodeRows() {
  const failing = new Map((seen.overview?.failing_nodes ?? []).map((one) => [`${one.upstream}\n${one.node}`, one]));
  return (seen.upstreams?.upstreams ?? []).flatMap((upstream) => upstream.nodes.map((node) => {
    const key = `${upstream.id}\n${node.node}`;
    const fails = failing.get(key);
    const state = node.state === "usable" && fails ? "failing" : node.state;
    return { ...node, key, upstream: upstream.id, state, fails, error: lastError(key, node), panic: upstream.panic_since };
  }));
}

/** The fault that was counted last, as far as this page has seen; the most frequent one at first. */
function lastError(key, node) {
  const before = faultsBefore.get(key);
  const faults = Object.entries(node.faults ?? {});
  const newer = before ? faults.find(([word, count]) => count > (before.faults[word] ?? 0)) : null;
  const most = faults.reduce((best, one) => (one[1] > (best?.[1] ?? 0) ? one : best), null);
  const word = node.check_reason ?? newer?.[0] ?? before?.word ?? most?.[0] ?? "";
  faultsBefore.set(key, { faults: node.faults ?? {}, word });
  return word;
}

const tables = {
  upstreams: new DataTable("t-upstreams", {
    caption: "Nodes", empty: "There are no upstreams.", key: (row) => row.key,
    columns: [
      { title: "Node", class: "name", cell: (row) => [row.node, { sub: row.upstream }] },
      { title: "State", class: "line", cell: (row) => [{ pill: STATES[row.state] ?? "warn", text: row.state }, row.since ? { sub: `since ${age(Math.max(0, now() - row.since))}` } : ""] },
      { title: "Last error", class: "name", cell: (row) => [row.error || { text: "none" }, row.fails ? { sub: `${many(row.fails.failed)} tries failed` } : "", row.asked_again_in_ms ? { sub: `asked again in ${Math.ceil(row.asked_again_in_ms / 1000)} s` } : ""] },
      { title: "p50 / p99 ms", class: "num", cell: (row) => `${row.p50_ms ?? "-"} / ${row.p99_ms ?? "-"}` },
      { title: "Tries", class: "num wide", cell: (row) => many(row.tries) },
      { title: "Failed", class: "num wide", cell: (row) => many(row.failures) },
      { title: "Connections", class: "num wide", cell: (row) => [many(row.connections) + (row.max_connections ? ` of ${many(row.max_connections)}` : ""), { sub: `${many(row.idle_connections)} idle` }] },
    ],
  }),
  certificates: new DataTable("t-certificates", {
    caption: "Certificates", empty: "The configuration names no certificates.", key: (row) => `${row.role}\n${row.sha256 ?? row.subject}\n${row.owner}\n${row.source}\n${row.serial}`,
    columns: [
      { title: "Subject", class: "name", cell: (row) => [row.subject, { sub: row.source }] },
      { title: "Days left", class: "line", cell: (row) => daysPill(row.days_left) },
      { title: "Role", class: "line", cell: (row) => row.role },
      { title: "Used by", class: "name wide", cell: (row) => row.owner },
    ],
  }),
  crls: new DataTable("t-crls", {
    caption: "Revocation lists", empty: "There are no revocation lists.", key: (row) => `${row.key}\n${row.source}\n${row.issuer}`,
    columns: [
      { title: "Issuer", class: "name", cell: (row) => [row.issuer, { sub: row.source }] },
      { title: "Next one due in", class: "line", cell: (row) => daysPill(row.days_left) },
      { title: "Revoked", class: "num", cell: (row) => many(row.revoked) },
      { title: "Used by", class: "name wide", cell: (row) => row.key },
    ],
  }),
  clients: new DataTable("t-clients", {
    caption: "Soonest to expire", empty: "No client was verified in the last 24 hours.", key: (row) => row.sha256,
    columns: [
      { title: "Client", class: "name", cell: (row) => [row.subject, { sub: row.server_name }] },
      { title: "Days left", class: "line", cell: (row) => daysPill(row.days_left) },
      { title: "Last seen", class: "line wide", cell: (row) => ago(row.last_seen) },
    ],
  }),
  radar: new DataTable("t-radar", {
    caption: "Certificates that are not for clients, or will not be", empty: "Every client that was seen has clientAuth, from an authority that is not known to stop.", key: (row) => `${row.finding}${row.sha256}`,
    columns: [
      { title: "Client", class: "name", cell: (row) => [row.subject, { sub: row.server_name }] },
      { title: "Finding", class: "name", cell: (row) => [row.words, row.issuer ? { sub: `${row.issuer.organisation} ends on ${row.issuer.ends} (${row.issuer.source})` } : ""] },
      { title: "Without clientAuth it gets", class: "name", cell: (row) => row.without_client_auth ?? "" },
      { title: "Days left", class: "line wide", cell: (row) => daysPill(row.days_left) },
    ],
  }),
  refusals: counted("t-refusals", "Requests answered by the gateway itself", "No request was refused."),
  handshakes: counted("t-handshakes", "Handshakes that failed", "No handshake failed."),
  cores: new DataTable("t-cores", {
    caption: "Cores", empty: "No core runs yet.", key: (row) => row.core,
    columns: [
      { title: "Core", cell: (row) => [row.core, row.silent ? { pill: "bad", text: "silent" } : ""] },
      { title: "Busy", class: "line", cell: (row) => (row.busy === undefined ? "" : [{ bar: row.busy }, `${Math.round(row.busy * 100)} %`]) },
      { title: "Connections", class: "num", cell: (row) => many(row.connections) },
      { title: "Requests", class: "num", cell: (row) => many(row.requests) },
      { title: "Driver", class: "wide line", cell: (row) => driver(row.driver) },
      { title: "Generation", class: "num wide", cell: (row) => row.generation },
    ],
  }),
  listeners: new DataTable("t-listeners", {
    caption: "Listeners", empty: "There are no listeners.", key: (row) => row.address,
    columns: [
      { title: "Address", class: "name", cell: (row) => row.address },
      { title: "Speaks", class: "line", cell: (row) => (row.tls ? "TLS" : "plain HTTP") },
    ],
  }),
  reloads: new DataTable("t-reloads", {
    caption: "Reloads", empty: "The configuration was not loaded again since the start.", key: (row) => row.key,
    columns: [
      { title: "When", class: "line", cell: (row) => ago(row.at) },
      { title: "Result", class: "name", cell: (row) => (row.reasons ? [{ pill: "bad", text: "refused" }, ...row.reasons.map((one) => ({ sub: one }))] : [{ pill: "good", text: `generation ${row.generation}` }]) },
    ],
  }),
  upgrades: new DataTable("t-upgrades", {
    caption: "Upgrades of the program", empty: "This process did not come of an upgrade, and has begun none.", key: (row) => row.key,
    columns: [
      { title: "When", class: "line", cell: (row) => ago(row.at) },
      { title: "Result", class: "name", cell: (row) => (row.reasons ? [{ pill: "bad", text: "refused" }, ...row.reasons.map((one) => ({ sub: one }))] : [{ pill: "good", text: "taken" }, { sub: `process ${row.pid}, ferrule ${row.version}` }]) },
    ],
  }),
  imported: new DataTable("t-imported", {
    caption: "What the importer said", empty: "The report is empty.", key: (row) => row.number,
    columns: [
      { title: "Line", class: "num", cell: (row) => row.number },
      { title: "Report", class: "name", cell: (row) => row.text },
    ],
  }),
  events: new DataTable("t-events", {
    caption: "Nodes and circuits", empty: "No node has changed.", key: (row) => row.number,
    columns: [
      { title: "When", class: "line", cell: (row) => ago(row.at) },
      { title: "What", class: "name", cell: (row) => [row.change, row.reason ? { sub: row.reason } : ""] },
      { title: "Where", class: "name", cell: (row) => [row.node ?? row.route ?? row.upstream, { sub: row.upstream }] },
    ],
  }),
};

function counted(id, caption, empty) {
  return new DataTable(id, {
    caption, empty, key: (row) => row.word,
    columns: [{ title: "Reason", class: "name", cell: (row) => row.word }, { title: "Count", class: "num", cell: (row) => many(row.count) }],
  });
}

const byCount = (counts) => Object.entries(counts ?? {}).map(([word, count]) => ({ word, count })).sort((one, other) => other.count - one.count || (one.word < other.word ? -1 : 1));
const FINDINGS = { refused: "refused: it lacks clientAuth (by an alert: not proved that it holds the key)", without_client_auth: "let in although it lacks clientAuth", issuer_stops: "its issuer stops issuing clientAuth" };
const nodeFits = filtering("filter-upstreams", () => show.upstreams());

const show = {
  overview() {
    const all = seen.overview;
    measure(all);
    setText("about", `version ${all.version}, generation ${all.generation}, up ${age(all.uptime_seconds)}, ${driver(all.driver)}, ${all.config}`);
    setText("phase", all.phase);
    at("phase").className = `pill ${all.phase === "running" ? "good" : "warn"}`;
    figures(all);
    tables.cores.show(all.cores.map((core) => ({ ...core, busy: rates.shares.get(core.core) })));
    tables.listeners.show(all.listeners ?? []);
    setText("count-cores", many(all.cores.length));
    setText("count-routes", many(all.routes));
    loadRoutes(all.generation);
  },
  upstreams() {
    const rows = nodeRows();
    const shown = rows.filter((row) => nodeFits(`${row.upstream} ${row.node} ${row.state} ${row.error}`.toLowerCase()));
    const leftOut = (seen.upstreams?.upstreams ?? []).reduce((sum, one) => sum + one.nodes_left_out, 0);
    tables.upstreams.show(shown, `${many(shown.length)} of ${many(rows.length + leftOut)}`);
    setText("count-upstreams", many(seen.upstreams?.upstreams?.length));
  },
  history() {
    // Of two in one second, each has a place of its own from the oldest one on.
    const keyed = (list) => list.map((one, index) => ({ ...one, key: `${one.at}-${one.generation ?? one.pid ?? "refused"}-${list.slice(index + 1).filter((other) => other.at === one.at).length}` }));
    tables.reloads.show(keyed(seen.history?.reloads ?? []));
    tables.upgrades.show(keyed(seen.history?.upgrades ?? []));
    tables.events.show(seen.history?.events ?? []);
  },
  refusals() {
    const [requests, handshakes] = [byCount(seen.refusals?.requests), byCount(seen.refusals?.handshakes)];
    tables.refusals.show(requests);
    tables.handshakes.show(handshakes);
    setText("count-refusals", many([...requests, ...handshakes].reduce((sum, one) => sum + one.count, 0)));
  },
  certificates() {
    const all = seen.certificates ?? {};
    const more = (count) => (count ? `${many(count)} more are not listed` : "");
    tables.certificates.show(all.certificates ?? [], more(all.certificates_left_out));
    tables.crls.show(all.crls ?? [], more(all.crls_left_out));
    setText("count-certificates", many((all.certificates?.length ?? 0) + (all.certificates_left_out ?? 0)));
  },
  imported() {
    const all = seen.imported ?? {};
    at("imported").hidden = all.file === undefined;
    const lines = all.error === undefined ? all.lines ?? [] : [`It cannot be read: ${all.error}`];
    const more = all.left_out ? `, ${many(all.left_out)} more lines are not shown` : "";
    tables.imported.show(lines.map((text, index) => ({ number: index + 1, text })), `${all.file ?? ""}${more}`);
  },
  clients() {
    const all = seen.clients ?? {};
    tables.clients.show(all.clients ?? [], `${many((all.clients ?? []).length)} of ${many(all.known)} that were seen`);
    tables.radar.show(Object.entries(FINDINGS).flatMap(([finding, words]) => (all.client_auth?.[finding]?.clients ?? []).map((one) => ({ ...one, finding, words }))));
    setText("count-clients", many(all.known));
  },
};

function setText(id, text) {
  const target = at(id);
  const wanted = visible(text);
  if (target.textContent !== wanted) target.textContent = wanted;
}

function measure(all) {
  const time = all.uptime_ms / 1000;
  // Another process may answer here now, or the same moment again.
  if (rates.time !== null && time < rates.time) [rates.time, rates.list] = [null, []];
  if (time === rates.time) return;
  if (rates.time !== null && all.requests >= rates.requests) {
    rates.list.push((all.requests - rates.requests) / (time - rates.time));
    if (rates.list.length > 60) rates.list.shift();
  }
  for (const core of all.cores) {
    const before = rates.busy.get(core.core);
    if (before !== undefined && rates.time !== null) rates.shares.set(core.core, Math.min(1, (core.busy_ns - before) / 1e9 / (time - rates.time)));
    rates.busy.set(core.core, core.busy_ns);
  }
  [rates.requests, rates.time] = [all.requests, time];
}

function figures(all) {
  const rate = rates.list.at(-1);
  const shares = [...rates.shares.values()];
  const busy = shares.length ? `${Math.round((shares.reduce((sum, one) => sum + one, 0) / shares.length) * 100)} %` : "-";
  const list = [
    ["Requests a second", rate === undefined ? "-" : many(Math.round(rate)), `${many(all.requests)} in all`],
    ["Open connections", many(all.connections), counting((all.listeners ?? []).length, "listener", "listeners")],
    ["Handshakes", many(all.handshakes.full + all.handshakes.resumed), `${many(all.handshakes.resumed)} resumed, ${many(all.handshakes.failed)} failed`],
    ["Cores busy", busy, `${counting(all.cores.length, "core", "cores")}, ${driver(all.driver)}`],
    ["Reloads", many(all.reloads.taken), `${many(all.reloads.refused)} refused`],
    ["Up", age(all.uptime_seconds), `since ${new Date(all.started * 1000).toLocaleDateString("en", { dateStyle: "medium" })}`],
  ];
  const box = at("figures");
  if (!box.firstChild) box.append(...list.map(([title]) => element("div", {}, element("dt", {}, title), element("dd", {}, element("span", {}), element("small", {})))));
  list.forEach(([, value, small], index) => {
    const [first, second] = box.children[index].children[1].children;
    fill(first, value);
    fill(second, small);
  });
  spark(box.firstChild);
}

function spark(card) {
  const space = "http://www.w3.org/2000/svg";
  if (card.lastElementChild.localName !== "svg") {
    const svg = document.createElementNS(space, "svg");
    for (const [name, value] of [["class", "spark"], ["viewBox", "0 0 60 20"], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
    svg.append(document.createElementNS(space, "polyline"));
    card.append(svg);
  }
  const most = Math.max(1, ...rates.list);
  const points = rates.list.map((one, index) => `${60 - rates.list.length + index + 1},${19 - (18 * one) / most}`);
  card.lastElementChild.firstChild.setAttribute("points", points.join(" "));
}

/** What an operator should look at, the worst first. The list changes only when what it says does. */
function problems() {
  const found = [];
  const bad = (words, to) => found.push({ class: "bad", words, to });
  const warn = (words, to) => found.push({ class: "warn", words, to });
  const all = seen.overview;
  if (!all) return found;
  if (all.phase !== "running") warn(`The process is ${all.phase}.`, "cores");
  if (all.reloads.last_ok === false) bad("The configuration on disk was refused; the one before it is in force.", "history");
  for (const core of all.cores) if (core.silent) bad(`Core ${core.core} shows no sign of life.`, "cores");
  for (const one of all.refused_files) bad(`Refused, while what was loaded before stays in force: ${one.files.join(", ")}`, "history");
  if (all.panics > 0) bad(`${counting(all.panics, "panic", "panics")}: a bug in Ferrule, please report it.`, "cores");
  const rows = nodeRows().filter((row) => ["bad", "warn"].includes(STATES[row.state] ?? "warn"));
  for (const row of rows.slice(0, 8)) bad(`Node ${row.node} of ${row.upstream} is ${row.state}${row.error ? `: ${row.error}` : ""}.`, "upstreams");
  if (rows.length > 8) bad(`And ${counting(rows.length - 8, "more node", "more nodes")}.`, "upstreams");
  for (const one of seen.upstreams?.upstreams ?? []) if (one.panic_since) bad(`Too few nodes of ${one.id} are healthy, so all are asked.`, "upstreams");
  const expiring = [...(seen.certificates?.certificates ?? []), ...(seen.certificates?.crls ?? [])].filter((one) => one.days_left !== null && one.days_left < 14);
  for (const one of expiring.slice(0, 5)) bad(`${one.subject ?? `The revocation list of ${one.issuer}`} ${one.days_left < 0 ? "has expired" : `expires within ${counting(one.days_left + 1, "day", "days")}`}.`, "certificates");
  if (expiring.length > 5) bad(`And ${many(expiring.length - 5)} more certificates or lists.`, "certificates");
  const auth = seen.clients?.client_auth ?? {};
  if (auth.refused?.known) bad(`${counting(auth.refused.known, "client is", "clients are")} refused for a certificate without clientAuth (by reject = "handshake": not proved that it is theirs).`, "clients");
  if (auth.without_client_auth?.known) warn(`${counting(auth.without_client_auth.known, "client has", "clients have")} a certificate without clientAuth.`, "clients");
  if (auth.issuer_stops?.known) warn(`${counting(auth.issuer_stops.known, "client has", "clients have")} an issuer that stops issuing clientAuth.`, "clients");
  return found;
}

function showProblems() {
  const found = problems();
  const list = found.length ? found : [{ class: "good", words: seen.overview ? "Nothing: everything that this page knows of is well." : "Waiting for the process." }];
  const box = at("problems");
  const known = new Map([...box.children].map((line) => [line.mark, line]));
  const lines = list.map((one) => {
    const mark = `${one.class} ${one.words}`;
    const line = known.get(mark) ?? element("li", { class: one.class }, one.to ? element("a", { href: `#${one.to}` }, element("bdi", {}, visible(one.words))) : visible(one.words));
    line.mark = mark;
    known.delete(mark);
    return line;
  });
  known.forEach((line) => line.remove());
  lines.forEach((line, index) => {
    if (box.children[index] !== line) box.insertBefore(line, box.children[index] ?? null);
  });
}

function alive(is) {
  at("live").classList.toggle("on", is);
  setText("live-text", is ? "live" : "no connection; trying again");
}

function listen() {
  const source = new EventSource(`${base}/events`);
  for (const name of Object.keys(seen)) {
    source.addEventListener(name, (event) => {
      seen[name] = JSON.parse(event.data);
      alive(true);
      show[name]();
      // Times that are told as "ago" grow with the clock of the overview.
      if (name === "overview" && seen.overview.uptime_seconds % 10 === 0) for (const other of ["upstreams", "history", "clients"]) if (seen[other]) show[other]();
      showProblems();
    });
  }
  source.addEventListener("error", () => {
    alive(false);
    // A browser gives up where the answer was no stream, as when too many read.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  });
}

showProblems();
listen();
