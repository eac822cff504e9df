// One cursor through all charts of an episode that share its time axis.
for (const group of document.querySelectorAll(".group")) {
  const charts = [...group.querySelectorAll("svg.timed")];
  const show = (event) => {
    const chart = event.target.closest("svg.timed");
    const source = chart && (chart.ownerSVGElement || chart);
    if (!source) return;
    const box = source.getBoundingClientRect();
    const [, , width] = source.getAttribute("viewBox").split(" ").map(Number);
    const share = ((event.clientX - box.left) / box.width * width - 46) / (width - 56);
    for (const other of charts) {
      const [, , w] = other.getAttribute("viewBox").split(" ").map(Number);
      const cursor = other.querySelector(".cursor");
      const x = 46 + share * (w - 56);
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      cursor.style.visibility = share >= 0 && share <= 1 ? "visible" : "hidden";
    }
  };
  group.addEventListener("mousemove", show);
}
