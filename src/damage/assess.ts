import { tmpdir } from 'node:os';
import type { Passage } from '../corpus/index.js';
import { BirdboneError, stopIfAborted } from '../errors.js';
import { type Report, silent } from '../events.js';
import { apartAbove, batchesOf, DEFAULT_MEMORY_BYTES, type Model, tokensPerBatch } from '../model/index.js';
import type { Device } from '../tensor/index.js';
import { type BlockFindings, examineBlock } from './examine-block.js';
import { openPair } from './model-pair.js';
import { type BlockErrors, reachOf, transmissionOf } from './reach.js';
import { severityOf } from './severity.js';
import type { BlockDamage, Damage, MatrixDamage } from './types.js';

export interface DamageOptions {
  readonly device: Device;
  /** By the stored name of a matrix the cluster of each of its rows, −1 for none. */
  readonly clusters?: ReadonlyMap<string, Int32Array> | undefined;
  /** Gets `progress` events of the stage "damage", in blocks. */
  readonly report?: Report | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Hidden states of both models above this go to files in `spillFolder`. */
  readonly memoryBytes?: number | undefined;
  readonly spillFolder?: string | undefined;
}

/**
 * Where compression hurt a model: both models go through the passages block by block, and each compressed block is also fed what the
 * dense model feeds it, which tells what it does wrong from what it was given. One block is resident, and one matrix beside it.
 * Throws `unsupported` for models whose blocks or widths differ, `not-finite` where the compressed one gives no numbers.
 */
export async function assessDamage(
  base: Model,
  now: Model,
  passages: readonly Passage[],
  options: DamageOptions,
): Promise<Damage> {
  checkAlike(base, now);
  const { device, report = silent, signal, memoryBytes = DEFAULT_MEMORY_BYTES, spillFolder = tmpdir() } = options;
  const longest = passages.reduce((length, { ids }) => Math.max(length, ids.length), 0);
  const batches = batchesOf(passages, tokensPerBatch(base.decoder, longest, device), apartAbove(base.decoder));
  const pair = await openPair(base, now, batches, { memoryBytes, spillFolder });
  const found: BlockFindings[] = [];
  const total = base.decoder.blocks.length;
  try {
    for (let index = 0; index < total; index += 1) {
      stopIfAborted(signal);
      const findings = await examineBlock(pair, index, {
        device,
        signal,
        clusters: options.clusters,
        memoryBytes,
        spillFolder,
      });
      if (!Number.isFinite(findings.hidden.totalSquares)) throw notFinite(index, now);
      found.push(findings);
      report({ type: 'progress', stage: 'damage', done: index + 1, total, unit: 'blocks' });
    }
    return damageOf(found, {
      passages,
      embeddingError: pair.embeddingError,
      withClusters: options.clusters !== undefined,
    });
  } finally {
    await pair.close();
  }
}

function checkAlike({ decoder: base }: Model, { decoder: now }: Model): void {
  const sizes = [
    ['blocks', now.blocks.length, base.blocks.length],
    ['hidden dimensions', now.hidden, base.hidden],
    // Of another vocabulary, whose tokenizer reads the text as other tokens.
    ['tokens in its vocabulary', now.vocabulary, base.vocabulary],
  ] as const;
  const different = sizes.find(([, left, right]) => left !== right);
  if (different === undefined) return;
  const [what, has, wanted] = different;
  throw new BirdboneError(
    'unsupported',
    `The compressed model has ${has} ${what}, the dense one ${wanted}: they cannot be held against each other block by block.`,
    {
      suggestions: [
        'Compare what whole models give: birdbone evaluate MODEL --base DENSE --data FILE',
        'Name a state of the run, whose shapes are whole: OUT@current',
      ],
    },
  );
}

function notFinite(block: number, { checkpoint }: Model): BirdboneError {
  return new BirdboneError('not-finite', `The output of block ${block} is no number.`, {
    file: checkpoint.path,
    suggestions: [
      'Look for the tensor: birdbone inspect MODEL --tensors',
      'Go back to an earlier state: birdbone rollback',
    ],
  });
}

interface Examined {
  readonly passages: readonly Passage[];
  readonly embeddingError: number;
  readonly withClusters: boolean;
}

/** Puts together what was found block by block. */
function damageOf(found: readonly BlockFindings[], { passages, embeddingError, withClusters }: Examined): Damage {
  let incoming = embeddingError;
  const errors = found.map(({ hidden }): BlockErrors => {
    const own = { own: Math.sqrt(hidden.ownSquares), inherited: Math.sqrt(hidden.inheritedSquares) };
    const of = { ...own, incoming, size: Math.sqrt(hidden.size) };
    incoming = Math.sqrt(hidden.totalSquares);
    return of;
  });
  const reach = reachOf(errors);
  const blocks = found.map((findings, index) => blockDamage(findings, errors[index]!, reach[index]!));
  return {
    passages: passages.length,
    tokens: passages.reduce((sum, { ids }) => sum + ids.length, 0),
    blocks,
    matrices: found.flatMap((findings, index) => matricesOf(findings, blocks[index]!, reach[index]!)),
    ...(withClusters && { clusters: found.flatMap(({ clusters }) => clusters) }),
  };
}

function blockDamage({ block, hidden }: BlockFindings, errors: BlockErrors, reach: number): BlockDamage {
  const atOutput = hidden.own.relativeError * reach;
  return {
    block,
    total: hidden.total,
    own: hidden.own,
    inherited: errors.size === 0 ? 0 : errors.inherited / errors.size,
    ownShare: hidden.totalSquares === 0 ? 0 : hidden.ownPart / hidden.totalSquares,
    transmission: transmissionOf(errors),
    atOutput,
    severity: severityOf(atOutput),
  };
}

function matricesOf({ matrices }: BlockFindings, block: BlockDamage, reach: number): MatrixDamage[] {
  const parameters = matrices.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  return matrices.map((matrix) => {
    // Squares add up: of a block whose matrices cannot be told apart each has its part of the squares.
    const part = Math.sqrt((matrix.rows * matrix.columns) / parameters);
    const atOutput = matrix.effect === null ? block.atOutput * part : matrix.effect * reach;
    return { ...matrix, atOutput, severity: severityOf(atOutput) };
  });
}
