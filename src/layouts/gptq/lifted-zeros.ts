import { type Checkpoint, rangeWithin } from '../../checkpoint/index.js';
import { packRows, rowBytesOf, unpackRows } from '../../quantization/index.js';
import { groupsOf, nativeNames } from '../native-parts.js';
import { type CodedLinear, refusal } from '../rules.js';
import { NAME } from './config.js';

/** Zero points that are read at once. */
const CHUNK_BYTES = 4 * 2 ** 20;

/** Groups of each row whose codes and zero point are written one higher. */
type Lifts = ReadonlyMap<number, readonly number[]>;

/**
 * The native form with no zero point of 0, which GPTQ v1 cannot say: it stores z − 1, and of what loaders make of −1 there are three
 * sorts (0, 2^bits, and 0 with 1 too many in the next output's). A group with z = 0 whose largest code is not the last of all is the
 * same numbers with all codes and z one higher: w = s · ((u + 1) − (z + 1)). Groups of zeros alone, which pruning makes, are so.
 *
 * Reads the zero points once. Throws `unsupported` for a group that has all of 0 … 2^bits − 1 to itself.
 */
export async function withoutZeroPointsOfZero(raw: Checkpoint, linears: readonly CodedLinear[]): Promise<Checkpoint> {
  const lifted = new Map<string, { readonly linear: CodedLinear; readonly lifts: Lifts }>();
  for (const linear of linears) {
    if (linear.scheme.symmetric) continue;
    const lifts = await liftsOf(raw, linear);
    if (lifts.size === 0) continue;
    for (const name of [linear.weight, nativeNames(linear.weight).zeroPoint]) lifted.set(name, { linear, lifts });
  }
  if (lifted.size === 0) return raw;
  return {
    ...raw,
    async read(name, range) {
      const found = lifted.get(name);
      const bytes = await raw.read(name, range);
      if (found === undefined) return bytes;
      const { offset } = rangeWithin(raw.tensors.get(name)!, range);
      const lift = name === found.linear.weight ? liftCodes : liftZeros;
      lift(bytes, offset, found.linear, found.lifts);
      return bytes;
    },
  };
}

async function liftsOf(raw: Checkpoint, linear: CodedLinear): Promise<Lifts> {
  const { weight, rows, columns, scheme } = linear;
  const groups = groupsOf(scheme, columns);
  const { zeroPoint } = nativeNames(weight);
  const lifts = new Map<number, number[]>();
  const rowsPerChunk = Math.max(1, Math.floor(CHUNK_BYTES / groups));
  for (let first = 0; first < rows; first += rowsPerChunk) {
    const count = Math.min(rowsPerChunk, rows - first);
    const zeros = await raw.read(zeroPoint, { offset: first * groups, length: count * groups });
    for (let at = zeros.indexOf(0); at >= 0; at = zeros.indexOf(0, at + 1)) {
      const row = first + Math.floor(at / groups);
      lifts.set(row, [...(lifts.get(row) ?? []), at % groups]);
    }
  }
  for (const [row, lowest] of lifts) await refuseFullRange(raw, linear, row, lowest);
  return lifts;
}

async function refuseFullRange(
  raw: Checkpoint,
  { weight, columns, scheme }: CodedLinear,
  row: number,
  groups: readonly number[],
): Promise<void> {
  const { bits, groupSize = columns } = scheme;
  const rowBytes = rowBytesOf(columns, bits);
  const packed = await raw.read(weight, { offset: row * rowBytes, length: rowBytes });
  const codes = unpackRows(packed, 1, columns, bits);
  const last = 2 ** bits - 1;
  const full = groups.find((group) => codes.subarray(group * groupSize, (group + 1) * groupSize).includes(last));
  if (full === undefined) return;
  throw refusal(NAME, 'zero-points', {
    tensor: weight,
    problem: `row ${row} of ${weight} has a group (${full}) with zero point 0 and code ${last}, and GPTQ v1 stores zero points less 1`,
    suggestion: 'Quantize symmetrically, or write compressed-tensors.',
  });
}

function liftZeros(bytes: Uint8Array, offset: number, linear: CodedLinear, lifts: Lifts): void {
  const groups = groupsOf(linear.scheme, linear.columns);
  for (const [row, lowest] of lifts) {
    for (const group of lowest) {
      const at = row * groups + group - offset;
      if (at >= 0 && at < bytes.length) bytes[at] = 1;
    }
  }
}

/** Ranges are whole rows: readers of codes read no others. */
function liftCodes(bytes: Uint8Array, offset: number, { columns, scheme }: CodedLinear, lifts: Lifts): void {
  const { bits, groupSize = columns } = scheme;
  const rowBytes = rowBytesOf(columns, bits);
  for (const [row, groups] of lifts) {
    const at = row * rowBytes - offset;
    if (at < 0 || at + rowBytes > bytes.length) continue;
    const codes = unpackRows(bytes.subarray(at, at + rowBytes), 1, columns, bits);
    for (const group of groups) {
      const end = Math.min(columns, (group + 1) * groupSize);
      for (let column = group * groupSize; column < end; column += 1) codes[column]! += 1;
    }
    bytes.set(packRows(codes, 1, columns, bits), at);
  }
}
