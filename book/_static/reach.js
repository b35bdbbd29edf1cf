// The theme leaves toggles without a name, gives others one that they do not show, and leaves boxes that scroll out of
// reach of the keyboard.
const reach = () => {
  for (const box of document.querySelectorAll(".pst-scrollable-table-container, .bd-article pre, mjx-container[display]")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
};
document.addEventListener("DOMContentLoaded", () => {
  for (const toggle of document.querySelectorAll("nav details > summary")) {
    const entry = toggle.closest("li").querySelector("a").textContent.trim();
    toggle.setAttribute("aria-label", `pages under ${entry}`);
  }
  for (const named of document.querySelectorAll(".search-button-field, .cell summary")) named.removeAttribute("aria-label");
  reach();
});
window.addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(reach));
window.addEventListener("resize", reach);
// On paper, and in a PDF, a link to a file beside this page leads nowhere.
window.addEventListener("beforeprint", () => {
  for (const link of document.querySelectorAll(".bd-article a[href]")) {
    if (link.protocol === "file:" && link.pathname !== location.pathname) link.removeAttribute("href");
  }
});
