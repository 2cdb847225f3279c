/**
 * What the reference (huggingface/safetensors, safetensors/src/tensor.rs, `SafeTensors::deserialize`) says of a file, written
 * from its rules on top of JSON.parse, without anything of ours: the tensors when it accepts, undefined when it refuses.
 * Where JSON.parse is laxer than serde (duplicate keys, lone surrogates) it accepts too much, never too little.
 */
export interface ReferenceTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

const BITS: Readonly<Record<string, number>> = {
  ...{ BOOL: 8, F4: 4, F6_E2M3: 6, F6_E3M2: 6, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, I16: 16, U16: 16 },
  ...{ F16: 16, BF16: 16, I32: 32, U32: 32, F32: 32, C64: 64, F64: 64, I64: 64, U64: 64 },
};
const U64 = 2n ** 64n;

export function referenceVerdict(file: Uint8Array): Map<string, ReferenceTensor> | undefined {
  if (file.length < 8) return undefined;
  const headerBytes = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true);
  if (headerBytes > 100_000_000n || headerBytes + 8n > BigInt(file.length)) return undefined;
  const header = parse(file.subarray(8, 8 + Number(headerBytes)));
  if (header === undefined) return undefined;
  const { __metadata__: metadata, ...entries } = header;
  if (!isMetadata(metadata)) return undefined;
  return layOut(Object.entries(entries), file.subarray(8 + Number(headerBytes)));
}

function parse(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isMetadata(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return isObject(value) && Object.values(value).every((text) => typeof text === 'string');
}

function layOut(entries: readonly [string, unknown][], data: Uint8Array): Map<string, ReferenceTensor> | undefined {
  const tensors: { name: string; dtype: string; shape: number[]; begin: number; end: number }[] = [];
  for (const [name, entry] of entries) {
    if (!isObject(entry)) return undefined;
    const { dtype, shape, data_offsets: offsets } = entry;
    if (typeof dtype !== 'string' || !Object.hasOwn(BITS, dtype)) return undefined;
    if (!isIntegers(shape) || !isIntegers(offsets) || offsets.length !== 2) return undefined;
    tensors.push({ name, dtype, shape, begin: offsets[0]!, end: offsets[1]! });
  }
  tensors.sort((left, right) => left.begin - right.begin || left.end - right.end);
  const accepted = new Map<string, ReferenceTensor>();
  let start = 0;
  for (const { name, dtype, shape, begin, end } of tensors) {
    if (begin !== start || end < begin) return undefined;
    let bits = BigInt(BITS[dtype]!);
    for (const size of shape) {
      bits *= BigInt(size);
      if (bits >= U64) return undefined;
    }
    if (bits % 8n !== 0n || bits / 8n !== BigInt(end - begin)) return undefined;
    accepted.set(name, { dtype, shape, bytes: data.subarray(begin, end) });
    start = end;
  }
  return start === data.length ? accepted : undefined;
}

function isIntegers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isInteger(item) && item >= 0);
}
