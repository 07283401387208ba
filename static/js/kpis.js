// Charts of the KPI pages, drawn by Chart.js from the JSON beside them; every chart has a table with the same numbers.
import { token } from "./mainstay.js";

const charts = new Map();

function base() {
  const grid = { color: token("line") };
  const ticks = { color: token("muted"), font: { family: "Inter Variable, Inter, sans-serif", size: 11 } };
  return { grid, ticks };
}

function pareto(data) {
  const { grid, ticks } = base();
  return {
    data: {
      labels: data.labels,
      datasets: [
        { type: "line", label: "Running share, %", data: data.running, yAxisID: "share", borderColor: token("muted"), backgroundColor: token("muted"), borderWidth: 1.5, pointRadius: 2.5, tension: 0 },
        { type: "bar", label: "Customers", data: data.count, yAxisID: "count", backgroundColor: token("accent"), borderRadius: 3, maxBarThickness: 34 },
      ],
    },
    options: {
      scales: {
        x: { grid: { display: false }, ticks: { ...ticks, maxRotation: 60, autoSkip: false, callback(value) { const text = this.getLabelForValue(value); return text.length > 22 ? `${text.slice(0, 21)}…` : text; } } },
        count: { beginAtZero: true, grid, ticks: { ...ticks, precision: 0 }, title: { display: true, text: "Customers", color: token("muted") } },
        share: { position: "right", min: 0, max: 100, grid: { display: false }, ticks: { ...ticks, callback: (value) => `${value} %` } },
      },
      plugins: { legend: { labels: { color: token("muted"), boxWidth: 12 } } },
    },
  };
}

function trend(data) {
  const { grid, ticks } = base();
  const shown = (value) => (data.unit === "%" ? `${value} %` : data.unit === "days" ? `${value} days` : `${data.unit} ${Number(value).toLocaleString("en")}`);
  return {
    type: "line",
    data: { labels: data.labels, datasets: [{ label: data.title, data: data.values, borderColor: token("accent"), backgroundColor: token("accent"), borderWidth: 2, pointRadius: 3, tension: 0.2, spanGaps: true }] },
    options: {
      scales: { x: { grid: { display: false }, ticks }, y: { grid, ticks: { ...ticks, callback: shown }, grace: "20%" } },
      plugins: { legend: { display: false }, tooltip: { callbacks: { label: (item) => shown(item.parsed.y) } } },
    },
  };
}

const kinds = { pareto, trend };

function draw() {
  for (const canvas of document.querySelectorAll("canvas[data-chart]")) {
    charts.get(canvas)?.destroy();
    const data = JSON.parse(document.getElementById(canvas.dataset.source).textContent);
    const { type = "bar", data: series, options } = kinds[canvas.dataset.chart](data);
    charts.set(canvas, new Chart(canvas, { type, data: series, options: { responsive: true, maintainAspectRatio: false, animation: false, ...options } }));
  }
}

draw();
document.addEventListener("mainstay:theme", draw);
