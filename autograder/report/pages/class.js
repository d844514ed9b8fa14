// Search, filter and sort the table of students; without a script it is a plain table in the order of names.
const rows = [...document.querySelectorAll("#table tbody tr")];
const search = document.getElementById("search"), show = document.getElementById("show"), shown = document.getElementById("shown");
const about = rows.map((row) => ({ row, name: row.cells[0].textContent.toLowerCase(), score: row.cells[1].textContent === "?" ? -1 : Number(row.cells[1].textContent),
  s: [row.dataset.s], f: row.dataset.f.split(" "), b: row.dataset.b.split(" ") }));

function filter() {
  const words = search.value.toLowerCase().split(/\s+/), [kind, value] = show.value.split(":");
  let count = 0;
  for (const one of about) {
    const visible = words.every((word) => one.name.includes(word)) && (!kind || one[kind].includes(value));
    one.row.hidden = !visible;
    count += visible;
  }
  shown.textContent = `${count} of ${rows.length}`;
}

// Names begin with A, points with the most; the same again turns it round.
function sort(head, byPoints) {
  const first = byPoints ? "descending" : "ascending", second = byPoints ? "ascending" : "descending";
  const order = head.getAttribute("aria-sort") === first ? second : first, sign = order === "ascending" ? 1 : -1;
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  about.sort((a, b) => sign * (byPoints ? a.score - b.score : a.name.localeCompare(b.name)));
  document.querySelector("#table tbody").append(...about.map((one) => one.row));
}

for (const head of document.querySelectorAll("#table [data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => sort(head, head.dataset.sort === "number"));
}
document.getElementById("controls").hidden = false;
document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
search.addEventListener("input", filter);
show.addEventListener("change", filter);
filter();
