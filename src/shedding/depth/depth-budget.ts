import { BirdboneError } from '../../errors.js';
import type { PlateGraph, TargetRules } from '../../plates/index.js';
import { blockParameters } from '../budget/allotment.js';
import type { Part } from './search.js';

/** What of a model's depth can go, and how much of it is to. */
export interface DepthBudget {
  readonly parts: readonly Part[];
  readonly counts: Readonly<Record<Part['kind'], number>>;
}

/**
 * How many blocks a sparsity is, to the nearest whole one; with `halves`, how many attentions and as many networks as make up the
 * rest. Blocks of one model are taken to be equally large, as they are before anything is shed. Throws `usage` for a sparsity that
 * is less than half a block, or more than all but one.
 */
export function depthBudget(graph: PlateGraph, sparsity: number, halves: boolean): DepthBudget {
  const { blocks } = graph.decoder;
  const all = blockParameters(graph);
  const sizeOf = (kind: Part['kind']) => {
    const total = blocks.reduce((sum, { index }) => {
      return sum + graph.parametersOf(graph.slicesOf({ kind, block: index, start: index, count: 1 }));
    }, 0);
    return total / blocks.length;
  };
  const none = { block: 0, attention: 0, ffn: 0 };
  const attentions = Math.round(sparsity * blocks.length);
  const networks = Math.round((sparsity * all - attentions * sizeOf('attention')) / sizeOf('ffn'));
  const counts = halves
    ? { ...none, attention: attentions, ffn: Math.max(0, networks) }
    : { ...none, block: Math.round((sparsity * all) / sizeOf('block')) };
  if (counts.block + counts.attention + counts.ffn === 0)
    throw tooLittle(sparsity, sizeOf(halves ? 'attention' : 'block') / all);
  if (Math.max(...Object.values(counts)) >= blocks.length) throw tooMuch(sparsity, blocks.length);
  const kinds: readonly Part['kind'][] = halves ? ['attention', 'ffn'] : ['block'];
  const parts = kinds.flatMap((kind) => blocks.map(({ index }) => ({ id: `${kind}:${index}`, kind })));
  return { parts, counts };
}

/**
 * Whether an engine loads a model without these halves. vLLM's first block begins the residual stream in its attention; llama.cpp
 * reads the size of a head from the first block's attention, and passes over a block without a network.
 * Sources: vLLM, model_executor/models/nemotron_nas.py; llama.cpp, src/models/deci.cpp.
 */
export function loadsWithout(graph: PlateGraph, rules: TargetRules, gone: ReadonlySet<string>): boolean {
  const isGone = (kind: string, block: number) => gone.has(`${kind}:${block}`) || gone.has(`block:${block}`);
  const left = graph.decoder.blocks.filter(({ index }) => !(isGone('attention', index) && isGone('ffn', index)));
  if (left.length === 0 || isGone('attention', left[0]!.index)) return false;
  return rules.name !== 'llama.cpp' || left.every(({ index }) => !isGone('ffn', index));
}

function tooLittle(sparsity: number, least: number): BirdboneError {
  return new BirdboneError('usage', `A sparsity of ${sparsity} is less than half of a block: the blocks stay.`, {
    suggestions: [`Shed a whole one: --sparsity ${least.toFixed(4)}`, 'Shed channels: --plates ffn'],
  });
}

function tooMuch(sparsity: number, blocks: number): BirdboneError {
  return new BirdboneError('usage', `A sparsity of ${sparsity} is all of the ${blocks} blocks; one has to stay.`, {
    suggestions: [`Ask for less: --sparsity ${((blocks - 1) / blocks).toFixed(2)}`],
  });
}
