import path from 'node:path';
import { FileSource, quoted } from '../checkpoint/index.js';
import { stopIfAborted } from '../errors.js';
import { type Report, silent } from '../events.js';
import { filesAt, type ScanKind } from './files-at.js';
import { type Finding, finding, type Level } from './rules.js';
import { scanConfig, scanTemplate } from './scan-config.js';
import { type ScannedFile, scanWeights } from './scan-weights.js';

export interface ScanReport {
  readonly files: readonly ScannedFile[];
  /** Findings by their level. */
  readonly counts: Readonly<Record<Level, number>>;
  /** Neither errors nor warnings. */
  readonly clean: boolean;
}

export interface ScanOptions {
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

const MAX_TEMPLATE_BYTES = 1024 * 1024;

/**
 * What files contain and would do when they are loaded, in the order given; folders with all that is in them. A file that is
 * named is looked at whatever it is; in a folder, those that no format recognises are passed over. Nothing is executed, and
 * each file is looked at to its end, whatever was found in it. Throws `unreadable` for a path that cannot be read.
 */
export async function scanPaths(paths: readonly string[], options: ScanOptions = {}): Promise<ScanReport> {
  const { report = silent, signal } = options;
  const chosen = (await Promise.all(paths.map(filesAt))).flat();
  const files: ScannedFile[] = [];
  for (const [i, { file, kind }] of chosen.entries()) {
    stopIfAborted(signal);
    report({ type: 'progress', stage: 'scan', done: i, total: chosen.length, unit: 'files' });
    files.push(await scanFile(file, kind));
  }
  report({ type: 'progress', stage: 'scan', done: chosen.length, total: chosen.length, unit: 'files' });
  const levels = files.flatMap(({ findings }) => findings.map(({ level }) => level));
  const count = (level: Level) => levels.filter((found) => found === level).length;
  const counts = { error: count('error'), warning: count('warning'), note: count('note') };
  return { files, counts, clean: counts.error + counts.warning === 0 };
}

async function scanFile(file: string, kind: ScanKind): Promise<ScannedFile> {
  if (kind === 'weights') return scanWeights(file);
  const source = await FileSource.open(file);
  try {
    return { path: file, format: kind, bytes: source.size, pickles: [], findings: await LOOKS[kind](source) };
  } finally {
    await source.close();
  }
}

const LOOKS: Readonly<Record<Exclude<ScanKind, 'weights'>, (source: FileSource) => Promise<Finding[]>>> = {
  config: ({ path: file }) => scanConfig(file),
  async template(source) {
    const bytes = await source.read(0, Math.min(source.size, MAX_TEMPLATE_BYTES));
    return scanTemplate(source.path, Buffer.from(bytes).toString('utf8'));
  },
  program: async ({ path: file }) => [finding('program-file', file, `${quoted(path.basename(file))} is a program.`)],
};
