import { BirdboneError } from '../errors.js';
import { describeScheme, type Scheme } from '../quantization/index.js';

/** Throws `unsupported` for a scheme of 16 bits, whose rounding leaves nothing to search, and for element types not in `types`. */
export function refuseSchemes(
  algorithm: string,
  scheme: Scheme,
  types: readonly Scheme['type'][] = ['int', 'float', 'codebook'],
): void {
  if (scheme.bits < 16 && types.includes(scheme.type)) return;
  const allowed = types.map((type) => NAMES[type]).join(', ');
  throw new BirdboneError(
    'unsupported',
    `${algorithm} finds codes of at most 8 bits (${allowed}), and the scheme is ${describeScheme(scheme)}.`,
    { suggestions: ['Round to the nearest: --algorithm rtn'] },
  );
}

const NAMES: Readonly<Record<Scheme['type'], string>> = { int: 'integers', float: 'floats', codebook: 'nf4' };
