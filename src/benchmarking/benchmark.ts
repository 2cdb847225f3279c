import path from 'node:path';
import { openCheckpoint } from '../checkpoint/index.js';
import { stopIfAborted } from '../errors.js';
import { type Report, silent } from '../events.js';
import { inspectModel, openModel } from '../model/index.js';
import type { DeviceChoice } from '../tensor/index.js';
import { comparisonOf } from './comparison.js';
import { demandsOf } from './demands.js';
import type { ProbeSetup } from './engine.js';
import { type EngineChoice, enginesFor, type Pairing } from './engines.js';
import { type Benchmark, type EngineFigures, type ModelFigures, type Round, spreadOf } from './figures.js';
import { Probe } from './probe-process.js';
import { type Subject, subjectsOf } from './subjects.js';

/** Tokens of a window where nobody says otherwise and the models take them. */
const USUAL_CONTEXT = 256;

/** What the `bench` command is asked for. */
export interface BenchmarkOptions {
  /** A folder or file; an output folder of a run is compared with what the run began with. */
  readonly model: string;
  /** What to compare with, in the place of a run's own base. */
  readonly base?: string;
  /** Where journals lie, when not beside the outputs. */
  readonly state?: string;
  readonly engine: EngineChoice;
  /** Folder in which node-llama-cpp is installed. */
  readonly llamaFolder?: string;
  /** Tokens of a window; 256, or what the models take, unless given. */
  readonly context?: number;
  /** Windows of a round's prompt. */
  readonly windows: number;
  /** Tokens to generate in a round. */
  readonly generated: number;
  /** Rounds that count; one before them warms up. */
  readonly repeats: number;
  readonly seed: number;
  readonly device: DeviceChoice;
  readonly threads?: number;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/**
 * Measures one model, or two against each other, in birdbone and for a GGUF in llama.cpp, each in a process of its own. Rounds of all
 * of them take turns, each time in the other order, so that whatever else the machine does hits them alike. Writes nothing. Throws
 * `usage` for more tokens than a model takes, `device` where an engine that was asked for is not there, and as `openModel` does.
 */
export async function benchmark(options: BenchmarkOptions): Promise<Benchmark> {
  const { windows, generated, repeats } = options;
  const subjects = await subjectsOf(options);
  const context = options.context ?? Math.min(USUAL_CONTEXT, ...subjects.map(({ maxContext }) => maxContext));
  const { engines, notices } = enginesFor(subjects, options);
  const described = [];
  for (const subject of subjects) described.push(await describe(subject, { ...options, context }));
  const probes: Probe[] = [];
  const kill = () => void Promise.all(probes.map((probe) => probe.close()));
  options.signal?.addEventListener('abort', kill);
  try {
    for (const pairing of engines) {
      stopIfAborted(options.signal);
      probes.push(await Probe.open(setupOf(pairing, { ...options, context })));
    }
    const rounds = await measure(probes, options);
    const figures = await Promise.all(probes.map((probe, i) => engineFigures(probe, rounds[i]!)));
    const models = described.map((model, s) => {
      return { ...model, engines: figures.filter((_, i) => engines[i]!.subject === subjects[s]) };
    });
    const [base, model] = models;
    const comparison = base !== undefined && model !== undefined ? comparisonOf(base, model) : undefined;
    return { context, windows, generated, repeats, models, ...(comparison && { comparison }), notices };
  } catch (error) {
    // A process that was killed for the abort says that it died.
    stopIfAborted(options.signal);
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', kill);
    await Promise.all(probes.map((probe) => probe.close()));
  }
}

type Resolved = BenchmarkOptions & { readonly context: number };

async function describe(
  { role, path: at }: Subject,
  { context, report, signal }: Resolved,
): Promise<Omit<ModelFigures, 'engines'>> {
  const { format, parameters, bytes, bitsPerWeight = 0 } = await inspectModel(at, { headersOnly: true });
  const stored = await openCheckpoint(at);
  await stored.close();
  const model = await openModel(at);
  try {
    const watch = { ...(report && { report }), ...(signal && { signal }) };
    const demands = await demandsOf(model, { stored, context, ...watch });
    const name = path.basename(path.resolve(at));
    return { role, name, path: at, format, parameters, bytes, bitsPerWeight, demands };
  } finally {
    await model.checkpoint.close();
  }
}

function setupOf(
  { subject, engine, library }: Pairing,
  { context, windows, generated, seed, device, threads }: Resolved,
): ProbeSetup {
  return {
    engine,
    model: subject.path,
    context,
    windows,
    generated,
    seed,
    device,
    ...(threads !== undefined && { threads }),
    ...(library !== undefined && { library }),
  };
}

/** Rounds of each probe, without the first, which warms up. */
async function measure(
  probes: readonly Probe[],
  { repeats, report = silent, signal }: BenchmarkOptions,
): Promise<Round[][]> {
  const rounds = probes.map((): Round[] => []);
  for (let round = 0; round <= repeats; round += 1) {
    const order = probes.map((_, i) => i);
    if (round % 2 === 1) order.reverse();
    for (const i of order) {
      stopIfAborted(signal);
      const measured = await probes[i]!.round();
      if (round > 0) rounds[i]!.push(measured);
    }
    report({ type: 'progress', stage: 'measure', done: round, total: repeats, unit: 'rounds' });
  }
  return rounds;
}

async function engineFigures(probe: Probe, rounds: readonly Round[]): Promise<EngineFigures> {
  const generated = rounds.flatMap(({ generatedTokensPerSecond: speed }) => (speed === undefined ? [] : [speed]));
  return {
    engine: probe.setup.engine,
    description: probe.description,
    loadSeconds: spreadOf(rounds.map(({ loadSeconds }) => loadSeconds)),
    promptTokensPerSecond: spreadOf(rounds.map(({ promptTokensPerSecond }) => promptTokensPerSecond)),
    ...(generated.length > 0 && { generatedTokensPerSecond: spreadOf(generated) }),
    ...(await probe.memory()),
    rounds,
  };
}
