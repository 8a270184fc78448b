// On a narrow screen a chart of an incident is scrolled to the incident, which is at its end.
const showEnd = (box) => (box.scrollLeft = box.scrollWidth);
document.querySelectorAll(".one .scroll").forEach(showEnd);
document.addEventListener("toggle", (event) => event.target.querySelectorAll(".scroll").forEach(showEnd), true);
// A crosshair on every chart of a series. The report reads without it.
for (const svg of document.querySelectorAll("svg[data-points]")) {
  const points = svg.dataset.points.split(";").map((point) => point.split("|"));
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  const [left, bottom] = [64, 20];
  const hair = svg.querySelector(".hair");
  const readout = svg.parentElement.nextElementSibling;
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const share = (((event.clientX - box.left) / box.width) * width - left) / (width - left);
    const index = Math.min(points.length - 1, Math.max(0, Math.floor(share * points.length)));
    const at = left + ((index + 0.5) / points.length) * (width - left);
    hair.setAttribute("x1", at);
    hair.setAttribute("x2", at);
    hair.setAttribute("y2", height - bottom);
    const [time, actual, expected, severity] = points[index];
    readout.textContent = `${time}: ${actual || "no value"}${expected ? `, expected ${expected}` : ""}, severity ${severity}`;
  });
  svg.addEventListener("pointerleave", () => {
    hair.setAttribute("y2", 6);
    readout.textContent = "\u00a0";
  });
}
