export { type BenchmarkOptions, benchmark } from './benchmark.js';
export type { Demands } from './demands.js';
export type { Benchmark, EngineFigures, EngineName, ModelComparison, ModelFigures, Spread } from './figures.js';
