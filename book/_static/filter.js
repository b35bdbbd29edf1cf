// A box of the class "filters" filters the table behind it: a choice for every column that it names. A cell with commas has
// several values.
document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll(".filters")) {
    const table = [...document.querySelectorAll("table")].find((t) => box.compareDocumentPosition(t) & Node.DOCUMENT_POSITION_FOLLOWING);
    if (!table) continue;
    const rows = [...table.tBodies[0].rows];
    const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent.trim());
    const values = (row, column) => row.cells[column].textContent.split(",").map((value) => value.trim());
    const chosen = box.dataset.columns.split("|").map((name) => [heads.indexOf(name), document.createElement("select")]);
    const count = document.createElement("output");
    const show = () => {
      for (const row of rows) {
        row.hidden = chosen.some(([column, { value }]) => value !== "" && !values(row, column).includes(value));
      }
      count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
    };
    for (const [column, select] of chosen) {
      const found = [...new Set(rows.flatMap((row) => values(row, column)))].filter((value) => value !== "-");
      found.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
      select.append(new Option("all", ""), ...found.map((value) => new Option(value, value)));
      select.addEventListener("change", show);
      const label = document.createElement("label");
      label.append(`${heads[column]} `, select);
      box.append(label);
    }
    box.append(count);
    show();
  }
});
