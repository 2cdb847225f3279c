import { FileSource, openCheckpoint, type PlacedSurvey, surveyTorchFile } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { oddityFinding, pickleFindings } from './pickle-findings.js';
import { type Finding, finding } from './rules.js';

/** What a scan says of one file. */
export interface ScannedFile {
  readonly path: string;
  /** The format that reads it, "zip archive" or "pickles" for what only looks like one, or what else it is. */
  readonly format: string;
  readonly bytes: number;
  /** Of a file that is sound. */
  readonly tensors?: number;
  readonly pickles: readonly ScannedPickle[];
  readonly findings: readonly Finding[];
}

/** One pickle: what it names, and how often it reaches outside. */
export interface ScannedPickle {
  readonly member?: string;
  readonly start: number;
  readonly end: number;
  readonly protocol: number;
  readonly globals: readonly { readonly name: string; readonly allowed: boolean }[];
  readonly opcodes: Readonly<Record<string, number>>;
}

/**
 * What a file of weights contains and would do when it is loaded in Python, whether or not it can be read here: its pickles
 * are surveyed to their end, and then the file is opened by the strict reader, whose refusal is one more finding unless the
 * survey already told of it. Throws `unreadable` only for a file that cannot be read at all.
 */
export async function scanWeights(path: string): Promise<ScannedFile> {
  const source = await FileSource.open(path);
  const { size } = source;
  const survey = await (async () => {
    try {
      return surveyTorchFile(source);
    } finally {
      await source.close();
    }
  })();
  const findings = [
    ...(survey?.oddities ?? []).map((oddity) => oddityFinding(path, oddity)),
    ...(survey?.pickles ?? []).flatMap((pickle) => pickleFindings(path, pickle)),
  ];
  // A pickle that is not as weights need it is refused for certain, and would only be run a second time.
  const isRefused = findings.some(({ rule }) => rule.startsWith('pickle-'));
  const opened: Opened = isRefused ? {} : await openStrictly(path);
  if (opened.refusal !== undefined && findings.length === 0) findings.push(opened.refusal);
  return {
    path,
    format: opened.format ?? survey?.container ?? 'unknown',
    bytes: size,
    ...(opened.tensors !== undefined && { tensors: opened.tensors }),
    pickles: (survey?.pickles ?? []).map(scannedPickle),
    findings,
  };
}

interface Opened {
  readonly format?: string;
  readonly tensors?: number;
  readonly refusal?: Finding;
}

async function openStrictly(path: string): Promise<Opened> {
  try {
    const { format, tensors, close } = await openCheckpoint(path);
    await close();
    return { format, tensors: tensors.size };
  } catch (error) {
    if (!(error instanceof BirdboneError) || !(error.code === 'unreadable' || error.code === 'unsupported'))
      throw error;
    return { refusal: finding(error.code, path, error.message) };
  }
}

function scannedPickle({ member, start, end, protocol, globals, opcodes }: PlacedSurvey): ScannedPickle {
  return {
    ...(member !== '' && { member }),
    start,
    end,
    protocol,
    globals: globals.map(({ module, name, allowed }) => ({ name: `${module}.${name}`, allowed })),
    opcodes,
  };
}
