export { type Chart, type ChartOptions, drawChart, type Margins } from './chart.js';
export { type Density, density } from './density.js';
export { type Heatmap, heatmap } from './heatmap.js';
export { type Histograms, histograms } from './histograms.js';
export { escapeMarkup, legible } from './legible.js';
export { type PageTable, type Picture, page, type Section } from './page.js';
export { KIND_COLOURS } from './palette.js';
export { sheet } from './sheet.js';
export { type WaveKind, type WaveSeries, waveChart } from './wave-chart.js';
