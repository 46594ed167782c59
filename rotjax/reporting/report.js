"use strict";
// Sorts a results table: by a click on a heading (again: the other way), or
// when the page opens by its address, #sort=3 or #sort=-3 (the third column,
// ascending or descending), which a click leaves there to be copied.
(() => {
  const text = (row, column) => {
    const cell = row.cells[column];
    return (cell.dataset.sort ?? cell.textContent).trim();
  };
  // A difference from the baseline is zero for the baseline itself.
  const number = (t) =>
    t === "baseline" ? 0 : parseFloat(t.replaceAll(",", ""));

  function sort(table, column, sign) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    // Names are text even where they look like numbers.
    const numeric = column > 0 &&
      rows.some((row) => Number.isFinite(number(text(row, column))));
    const empty = (row) => numeric
      ? !Number.isFinite(number(text(row, column)))
      : !text(row, column);
    // Chance stays last, and what has no value above it, whatever the sign.
    const rank = (row) => row.classList.contains("chance") ? 2 : +empty(row);
    rows.sort((a, b) => {
      if (rank(a) !== rank(b) || rank(a)) return rank(a) - rank(b);
      const [x, y] = [text(a, column), text(b, column)];
      return sign * (numeric
        ? number(x) - number(y)
        : x.localeCompare(y, "en", { numeric: true }));
    });
    body.append(...rows);
    for (const head of table.tHead.rows[0].cells) {
      head.removeAttribute("aria-sort");
    }
    table.tHead.rows[0].cells[column].setAttribute(
      "aria-sort", sign > 0 ? "ascending" : "descending");
  }

  function onSort(table, column) {
    const head = table.tHead.rows[0].cells[column];
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    sort(table, column, sign);
    try {
      history.replaceState(null, "", `#sort=${sign * (column + 1)}`);
    } catch {
      // Some browsers keep the address of a local file as it is.
    }
  }

  const table = document.querySelector("table.results");
  if (!table) return;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.tabIndex = 0;
    head.title = "sort by this column";
    head.addEventListener("click", () => onSort(table, column));
    head.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      onSort(table, column);
    });
  });
  const wanted = parseInt(/^#sort=(-?\d+)$/.exec(location.hash)?.[1] ?? 0);
  const head = heads[Math.abs(wanted) - 1];
  head?.click();
  if (wanted < 0) head?.click();
})();
