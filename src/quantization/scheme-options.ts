import { BirdboneError } from '../errors.js';
import { nearest } from '../nearest.js';
import { type ScaleDtype, type Scheme, schemes } from './scheme.js';

/** What may be asked of a scheme besides its name. */
export interface SchemeOptions {
  readonly groupSize?: number | 'channel' | 'tensor';
  readonly blockShape?: readonly [rows: number, columns: number];
  readonly asymmetric?: boolean;
  readonly scaleDtype?: ScaleDtype;
}

/**
 * The scheme of that name with what `options` change of it. Throws `usage` for a name that is not there and for options that do
 * not go together.
 *
 * @example schemeOf('int4', { groupSize: 128, asymmetric: true })
 */
export function schemeOf(name: string, options: SchemeOptions = {}): Scheme {
  const base = schemes.get(name);
  if (base === undefined) {
    const names = [...schemes.keys()];
    throw new BirdboneError('usage', `There is no scheme "${name}". Known: ${names.join(', ')}.`, {
      suggestions: nearest(name, names).slice(0, 1),
    });
  }
  const { asymmetric, scaleDtype } = options;
  checkOptions(base, name, options);
  const { groupSize: _size, blockShape: _shape, ...rest } = base;
  const scheme: Scheme = {
    ...rest,
    ...sharingOf(base, options),
    ...(asymmetric !== undefined && { symmetric: !asymmetric }),
    ...(scaleDtype && { scaleDtype }),
  };
  checkSharing(scheme, name);
  return scheme;
}

function checkOptions(base: Scheme, name: string, options: SchemeOptions): void {
  const { groupSize, blockShape, asymmetric, scaleDtype } = options;
  const isScaled = groupSize !== undefined || blockShape !== undefined || asymmetric || scaleDtype !== undefined;
  if (base.bits === 16 && isScaled) {
    throw new BirdboneError('usage', `${name} stores numbers as they are: it has no scales, groups or zero points.`);
  }
  if (asymmetric && (base.type !== 'int' || base.activations !== undefined)) {
    throw new BirdboneError(
      'usage',
      `${name} has no zero points: only int8, int6, int5, int4, int3 and int2 can be asymmetric.`,
    );
  }
  if (groupSize !== undefined && blockShape !== undefined) {
    throw new BirdboneError('usage', 'Weights share scales in groups or in blocks, not both.');
  }
  if (base.doubleQuantization && scaleDtype !== undefined) {
    throw new BirdboneError('usage', `${name} stores its scales as codes of 8 bits, not as ${scaleDtype}.`);
  }
}

/** What shares a scale: the options' groups or blocks, or the scheme's own. */
function sharingOf(base: Scheme, { groupSize, blockShape }: SchemeOptions): Pick<Scheme, 'strategy' | 'groupSize'> {
  if (blockShape !== undefined) {
    blockShape.forEach(checkSize);
    return { strategy: 'block', blockShape } as Pick<Scheme, 'strategy' | 'blockShape'>;
  }
  if (typeof groupSize === 'string') return { strategy: groupSize };
  if (groupSize === undefined) return { strategy: base.strategy, ...(base.groupSize && { groupSize: base.groupSize }) };
  checkSize(groupSize);
  return { strategy: 'group', groupSize };
}

function checkSize(size: number): void {
  if (Number.isSafeInteger(size) && size >= 1) return;
  throw new BirdboneError('usage', `${size} weights share a scale: it must be a whole number of at least 1.`);
}

function checkSharing({ type, strategy, activations }: Scheme, name: string): void {
  if (type === 'codebook' && strategy !== 'group') {
    throw new BirdboneError('usage', `${name} has a scale for each group of inputs: give a number of them.`, {
      suggestions: ['QLoRA takes 64: --group-size 64'],
    });
  }
  if (activations !== undefined && strategy !== 'channel' && strategy !== 'tensor') {
    throw new BirdboneError(
      'usage',
      `${name} multiplies whole rows by one scale: groups and blocks are not possible.`,
      {
        suggestions: ['Give each output row a scale: --group-size channel'],
      },
    );
  }
}
