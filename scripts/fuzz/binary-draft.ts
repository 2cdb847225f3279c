import { boundary } from './boundary.js';
import { mutateBytes } from './mutate-bytes.js';
import type { Random } from './random.js';

/** One field of a binary file: a little-endian number of some width, or bytes. */
export interface Field {
  readonly label: string;
  /** Bytes of a number; 0 for bytes as they are. */
  readonly width: 0 | 1 | 2 | 4 | 8;
  readonly value: bigint | Uint8Array;
}

/** Fields that belong together: a header, one entry, one opcode with its argument. */
export interface Group {
  readonly kind: string;
  readonly fields: readonly Field[];
}

/** A file as its groups in order, which need not agree with one another. */
export type Draft = readonly Group[];

export const u8 = (label: string, value: number): Field => ({ label, width: 1, value: BigInt(value) });
export const u16 = (label: string, value: number): Field => ({ label, width: 2, value: BigInt(value) });
export const u32 = (label: string, value: number): Field => ({ label, width: 4, value: BigInt(value) });
export const u64 = (label: string, value: number | bigint): Field => ({ label, width: 8, value: BigInt(value) });
export const raw = (label: string, value: Uint8Array | string): Field => ({
  label,
  width: 0,
  value: typeof value === 'string' ? Buffer.from(value, 'latin1') : value,
});

export function serialize(draft: Draft): Buffer {
  const parts: Uint8Array[] = [];
  for (const { fields } of draft) for (const field of fields) parts.push(bytesOf(field));
  return Buffer.concat(parts);
}

export function bytesOf({ width, value }: Field): Uint8Array {
  if (typeof value !== 'bigint') return value;
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes.subarray(0, width);
}

export function sizeOf({ fields }: Group): number {
  let bytes = 0;
  for (const { width, value } of fields) bytes += typeof value === 'bigint' ? width : value.length;
  return bytes;
}

/** The number in the first field with this label; 0 when there is none. */
export function numberIn({ fields }: Group, label: string): bigint {
  const found = fields.find((field) => field.label === label)?.value;
  return typeof found === 'bigint' ? found : 0n;
}

/** The same group with other values in the fields that have these labels. */
export function withValues(group: Group, values: Readonly<Record<string, bigint | Uint8Array>>): Group {
  return {
    kind: group.kind,
    fields: group.fields.map((field) => (field.label in values ? { ...field, value: values[field.label]! } : field)),
  };
}

/** Pieces that bring a mutation past the first checks: groups to put in, and texts to write into fields. */
export interface Vocabulary {
  readonly groups: readonly Group[];
  readonly texts: readonly Uint8Array[];
}

/** A draft with one change: in a field, or to the number and order of groups. */
export function mutateDraft(draft: Draft, random: Random, vocabulary: Vocabulary): Draft {
  if (draft.length === 0) return [random.pick(vocabulary.groups)];
  return random.pick(DRAFT_MUTATIONS)(draft, random, vocabulary);
}

type DraftMutation = (draft: Draft, random: Random, vocabulary: Vocabulary) => Draft;

const DRAFT_MUTATIONS: readonly DraftMutation[] = [
  changeField,
  changeField,
  changeField,
  changeField,
  (draft, random) => draft.toSpliced(random.below(draft.length), 1),
  (draft, random) => draft.toSpliced(random.below(draft.length), 0, random.pick(draft)),
  (draft, random) => {
    const [left, right] = [random.below(draft.length), random.below(draft.length)];
    return draft.with(left, draft[right]!).with(right, draft[left]!);
  },
  (draft, random, { groups }) => draft.toSpliced(random.below(draft.length + 1), 0, random.pick(groups)),
  (draft, random, { groups }) => draft.with(random.below(draft.length), random.pick(groups)),
];

function changeField(draft: Draft, random: Random, { texts }: Vocabulary): Draft {
  const at = random.below(draft.length);
  const group = draft[at]!;
  if (group.fields.length === 0) return draft;
  const position = random.below(group.fields.length);
  const field = group.fields[position]!;
  const value =
    typeof field.value === 'bigint' ? boundary(random, field.value) : changeText(field.value, random, texts);
  return draft.with(at, { kind: group.kind, fields: group.fields.with(position, { ...field, value }) });
}

function changeText(value: Uint8Array, random: Random, texts: readonly Uint8Array[]): Uint8Array {
  return random.oneIn(2) ? random.pick(texts) : mutateBytes(value, random, texts);
}
