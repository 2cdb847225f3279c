import { BirdboneError } from '../errors.js';
import { type Mix, mixes, mixOf } from '../ggml/index.js';
import { nearest } from '../nearest.js';
import { type Scheme, schemeOf, schemes } from '../quantization/index.js';
import type { QuantizeSettings } from './settings.js';

/** What `--scheme` names: one scheme for every matrix, or one of llama.cpp's mixes of block types. */
export type NamedScheme =
  | { readonly kind: 'scheme'; readonly scheme: Scheme }
  | { readonly kind: 'mix'; readonly mix: Mix };

/** Every name that `--scheme` takes, with its kind. */
export function schemeNames(): { readonly schemes: readonly string[]; readonly mixes: readonly string[] } {
  return { schemes: [...schemes.keys()], mixes: mixes.map(({ name }) => name.toLowerCase()) };
}

/**
 * What a scheme's name and the options beside it stand for. Throws `usage` for a name that there is not, with all that there are, and
 * for options that it has no use for.
 */
export function namedScheme(name: string, settings: Omit<QuantizeSettings, 'scheme'> = {}): NamedScheme {
  const { groupSize, asymmetric } = settings;
  if (schemes.has(name)) {
    const options = { ...(groupSize !== undefined && { groupSize }), ...(asymmetric !== undefined && { asymmetric }) };
    return { kind: 'scheme', scheme: schemeOf(name, options) };
  }
  const known = schemeNames();
  if (!isMix(name)) {
    const all = [...known.schemes, ...known.mixes];
    throw new BirdboneError(
      'usage',
      `There is no scheme "${name}". Known: ${known.schemes.join(', ')}; of ggml's blocks: ${known.mixes.join(', ')}.`,
      { suggestions: nearest(name.toLowerCase(), all).slice(0, 1) },
    );
  }
  refuseOptions(name, settings);
  return { kind: 'mix', mix: mixOf(name) };
}

function isMix(name: string): boolean {
  return mixes.some((mix) => [mix.name, mix.alias].includes(name.toUpperCase()));
}

/** Blocks of ggml's have their own groups, zero points and search. */
function refuseOptions(name: string, { groupSize, asymmetric, scale, algorithm }: Omit<QuantizeSettings, 'scheme'>) {
  const given = [
    groupSize !== undefined && `--group-size ${groupSize}`,
    asymmetric && '--asymmetric',
    scale !== undefined && `--scale ${scale}`,
    algorithm !== undefined && algorithm !== 'rtn' && `--algorithm ${algorithm}`,
  ].filter((flag) => flag !== false && flag !== undefined);
  if (given.length === 0) return;
  throw new BirdboneError(
    'usage',
    `${name} is a mix of ggml's blocks, which have groups, zero points and a search of their own: ${given.join(', ')} would be without effect.`,
    {
      suggestions: [
        'Leave them out; a calibration text weighs the errors: --calibration FILE',
        'Take an integer scheme: --scheme int4',
      ],
    },
  );
}
