import type { DeviceChoice } from '../tensor/index.js';
import type { EngineName, Round } from './figures.js';

/** What a process that measures is told at its start. */
export interface ProbeSetup {
  readonly engine: EngineName;
  readonly model: string;
  readonly context: number;
  readonly windows: number;
  /** Tokens to generate, where the engine does. */
  readonly generated: number;
  readonly seed: number;
  readonly device: DeviceChoice;
  /** All cores unless given. */
  readonly threads?: number;
  /** The module that node-llama-cpp starts from; of the engine llama.cpp. */
  readonly library?: string;
}

/** A model in an engine, in a process that has nothing else to do. */
export interface Engine {
  /** Device or library in words. */
  readonly description: string;
  /** Measures everything once. */
  round(): Promise<Round>;
  close(): Promise<void>;
}

/** Seconds that `work` takes. */
export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
