export type { KvScales, Layout, LayoutExtras, LayoutLimits, QuantizedCheckpoint } from './layout.js';
