import { statSync } from 'node:fs';
import path from 'node:path';
import { readTextFile, splitDocuments, textsOf } from '../corpus/index.js';
import { BirdboneError } from '../errors.js';
import { type Report, silent } from '../events.js';
import { loadTokenizer, openModel, type Tokenizer } from '../model/index.js';
import { type DeviceChoice, openDevice } from '../tensor/index.js';
import { type RangeCoverage, rangeCoverage } from './activation-ranges.js';
import { type Choice, choose } from './choose.js';
import { describe } from './describe.js';
import { heldOut } from './held-out.js';
import { type Candidate, poolOf, shuffled } from './pool.js';
import { type SetHeader, setFile, writeSet } from './set-file.js';
import { readSources, type SourceFile } from './sources.js';
import { strataOf } from './strata.js';

/** How many times as many passages the larger sample has that ranges are compared with. */
const SAMPLE_MULTIPLE = 4;

/** Which texts to choose from, for which model, into which file. */
export interface CalibrateOptions {
  /** Text files and globs; each is a source. */
  readonly sources: readonly string[];
  readonly model: string;
  readonly out: string;
  /** The set has about so many times `context` tokens. */
  readonly windows: number;
  /** The most tokens of a passage. */
  readonly context: number;
  readonly choice: Choice;
  readonly seed: number;
  /** Texts that results will be measured on: nothing is taken from them. */
  readonly apartFrom?: readonly string[];
  /** Also say how far the activations reach: runs the model. */
  readonly activations?: boolean;
  readonly device?: DeviceChoice;
  readonly threads?: number;
  readonly memoryBytes?: number;
  /** Check and choose, write nothing. */
  readonly dryRun?: boolean;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** A calibration set, described. */
export interface CalibrateResult extends SetHeader {
  readonly out: string;
  readonly sha256: string;
  readonly written: boolean;
}

/**
 * Makes a calibration set out of texts: each text once, balanced by source and length, tokenised, described, and named by the
 * sha256 of its file. The same texts and options give the same bytes. Throws `usage` when the texts have too few tokens.
 */
export async function calibrate(options: CalibrateOptions): Promise<CalibrateResult> {
  const { context, choice, seed, report = silent } = options;
  checkPlace(options.out);
  const tokenizer = await loadTokenizer(options.model);
  const sources = await readSources(options.sources, tokenizer.endOfSequence);
  const apart = await readApart(options.apartFrom ?? [], tokenizer);
  const budget = options.windows * context;
  const { candidates, counts } = poolOf(sources, tokenizer, { context, budget, seed, isHeldOut: heldOut(apart.texts) });
  report({ type: 'notice', message: `${candidates.length} passages to choose from.` });
  refuseTooFew(candidates, budget, options);
  const strata = strataOf(candidates, { sources: sources.length, context, budget });
  const chosen = choose(candidates, strata, { choice, seed });
  const { vocabularySize } = tokenizer;
  const description = describe({ sources, counts, candidates, chosen, context, vocabularySize });
  const activations = options.activations === true ? await rangesOf(candidates, chosen, options) : undefined;
  const header: SetHeader = {
    tokenizer: tokenizer.fingerprint(),
    model: path.basename(path.resolve(options.model)),
    context,
    choice,
    seed,
    ...(apart.files.length > 0 && { apartFrom: apart.files }),
    description: { ...description, ...(activations && { activations }) },
  };
  const passages = chosen.map((index) => candidates[index]!);
  const { text, sha256 } = setFile(header, passages);
  if (options.dryRun !== true) await writeSet(options.out, text);
  return { ...header, out: options.out, sha256, written: options.dryRun !== true };
}

/** Throws `usage` where no file can be put: minutes of choosing must not end at a folder that is not there. */
function checkPlace(out: string): void {
  const folder = path.dirname(path.resolve(out));
  const isFolder = (place: string) => statSync(place, { throwIfNoEntry: false })?.isDirectory() === true;
  if (isFolder(folder) && !isFolder(out)) return;
  const problem = isFolder(out) ? 'it is a folder' : `${folder} is no folder`;
  throw new BirdboneError('usage', `The set cannot be written to ${out}: ${problem}.`, {
    file: out,
    suggestions: isFolder(out) ? [`--out ${path.join(out, 'set.json')}`] : [`Make it first: mkdir -p ${folder}`],
  });
}

async function readApart(files: readonly string[], tokenizer: Tokenizer) {
  const [texts, found]: [string[], SourceFile[]] = [[], []];
  for (const file of files) {
    const content = textsOf(await readTextFile(file));
    found.push(content.source);
    texts.push(
      ...(content.kind === 'jsonl' ? content.documents : splitDocuments(content.text, tokenizer.endOfSequence)),
    );
  }
  return { texts, files: found };
}

function refuseTooFew(candidates: readonly Candidate[], budget: number, { windows, context }: CalibrateOptions): void {
  const tokens = candidates.reduce((sum, { ids }) => sum + ids.length, 0);
  if (tokens >= budget) return;
  const fits = Math.floor(tokens / context);
  throw new BirdboneError(
    'usage',
    `What is left of the texts, each passage once, has ${tokens} tokens; ${windows} windows of ${context} are ${budget}.`,
    { suggestions: [...(fits > 0 ? [`Make a smaller set: --windows ${fits}`] : []), 'Name more texts.'] },
  );
}

/** Ranges of the chosen passages beside as many others, drawn from the rest of the pool, as make the sample four times as large. */
async function rangesOf(
  candidates: readonly Candidate[],
  chosen: readonly number[],
  options: CalibrateOptions,
): Promise<RangeCoverage> {
  const isChosen = new Set(chosen);
  const rest = [...candidates.keys()].filter((index) => !isChosen.has(index));
  const others = shuffled(rest, options.seed).slice(0, (SAMPLE_MULTIPLE - 1) * chosen.length);
  if (others.length === 0) throw nothingToCompare();
  const model = await openModel(options.model);
  try {
    const { device: choice = 'auto', threads, report, signal, memoryBytes } = options;
    const device = await openDevice(choice, threads === undefined ? {} : { threads });
    try {
      const pick = (indices: readonly number[]) => indices.map((index) => candidates[index]!);
      return await rangeCoverage(
        model,
        { set: pick(chosen), others: pick(others) },
        { device, report, signal, memoryBytes },
      );
    } finally {
      await device.close();
    }
  } finally {
    await model.checkpoint.close();
  }
}

function nothingToCompare(): BirdboneError {
  return new BirdboneError(
    'usage',
    'The set takes all that the texts have: there is no larger sample to compare with.',
    {
      suggestions: ['Make a smaller set: --windows', 'Name more texts.', 'Leave --activations out.'],
    },
  );
}
