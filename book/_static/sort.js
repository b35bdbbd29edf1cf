// A click on the head of a table with at least ten rows sorts it by that column; a second click turns the order.
// Numbers sort as numbers, and what is missing ("-") comes last.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    if (!table.tHead || !body || body.rows.length < 10) continue;
    for (const head of table.tHead.rows[0].cells) {
      const sort = () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const text = (row) => row.cells[head.cellIndex].textContent.trim();
        const rows = [...body.rows].sort((a, b) => {
          const [x, y] = [text(a), text(b)];
          if (x === "-" || y === "-") return (x === "-") - (y === "-");
          const order = x.localeCompare(y, "en", { numeric: true });
          return up ? order : -order;
        });
        body.append(...rows);
      };
      head.classList.add("sortable");
      head.tabIndex = 0;
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
      });
    }
  }
});
