// The routes, and the way of one request through them.

const base = document.body.dataset.base;
const many = (count) => Number(count ?? 0).toLocaleString("en");

const routes = { list: [], generation: null, leftOut: 0, router: "" };

const routeTable = new DataTable("t-routes", {
  caption: "Routes",
  empty: "There are no routes.",
  virtual: true,
  key: (row) => row.id,
  columns: [
    { title: "Route", class: "name", cell: (row) => row.id },
    { title: "Hosts", cell: (row) => row.hosts.join(", ") || { text: "every host", class: "quiet-text" } },
    { title: "Paths", cell: (row) => row.uris.join(", ") },
    { title: "Methods", class: "wide", cell: (row) => row.methods.join(", ") || "all" },
    { title: "Upstream", class: "wide", cell: (row) => row.upstream ?? "answers by itself" },
    { title: "Priority", class: "num wide", cell: (row) => row.priority },
    { title: "Asks for", class: "wide", cell: (row) => [row.demands ? { pill: "note", text: "certificate" } : "", row.conditions ? { pill: "note", text: "conditions" } : ""] },
  ],
});

const routeFits = filtering("filter-routes", showRoutes);

function showRoutes() {
  const shown = routes.list.filter((row) => routeFits(row.text));
  const beyond = routes.leftOut ? `, ${many(routes.leftOut)} more are not listed` : "";
  const count = shown.length === routes.list.length ? many(shown.length) : `${many(shown.length)} of ${many(routes.list.length)}`;
  routeTable.show(shown, `${count}${beyond}; asked in the order of ${routes.router}`);
}

async function loadRoutes(generation) {
  if (routes.generation === generation) return;
  routes.generation = generation;
  try {
    const answer = await (await fetch(`${base}/routes`)).json();
    routes.list = answer.routes ?? [];
    routes.leftOut = answer.left_out ?? 0;
    routes.router = answer.router ?? "";
    for (const row of routes.list) row.text = [row.id, ...row.hosts, ...row.uris, ...row.methods, row.upstream].join(" ").toLowerCase();
    showRoutes();
  } catch {
    // It is tried again with the next overview.
    routes.generation = null;
  }
}

const matched = document.getElementById("matched");

function showMatch(answer) {
  const taken = answer.route;
  const title = taken
    ? ["Route ", element("strong", {}, element("bdi", {}, visible(taken.id))), taken.upstream ? " to upstream " : ", which answers by itself", taken.upstream ? element("strong", {}, element("bdi", {}, visible(taken.upstream))) : ""]
    : ["No route takes this request."];
  const lines = [element("p", {}, ...title)];
  if (answer.refused) lines.push(element("p", {}, "What the client is told: ", element("strong", {}, visible(answer.refused)), answer.client === "no certificate" ? " (asked here without a certificate; ferrule ctl routes --cert takes one)" : ""));
  const steps = (answer.steps ?? []).map((step) => element("li", {}, element("strong", {}, element("bdi", {}, visible(step.route))), ": ", element("bdi", {}, visible(step.why))));
  if (answer.unlisted) steps.push(element("li", {}, `and ${many(answer.unlisted)} more that were passed over`));
  if (steps.length) lines.push(element("ol", {}, ...steps));
  matched.replaceChildren(...lines);
}

document.getElementById("match").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = (id) => encodeURIComponent(document.getElementById(id).value.trim());
  try {
    const answer = await fetch(`${base}/match?method=${field("match-method")}&url=${field("match-url")}`);
    const text = await answer.text();
    if (answer.ok) showMatch(JSON.parse(text));
    else matched.replaceChildren(element("p", {}, visible(text.trim())));
  } catch {
    matched.replaceChildren(element("p", {}, "The process does not answer."));
  }
});
