/** The extra fields of one member's header. */
export interface ZipExtra {
  /** The zip64 field's numbers in their order; undefined when there is no such field. */
  readonly zip64: readonly number[] | undefined;
  /**
   * The fields, with those that say 0xffffffff replaced by the zip64 field's numbers, in its order. All of these are used up:
   * one too many could be what another reader takes.
   */
  wide(fields: readonly number[], fail: (problem: string) => never): readonly number[];
}

const ZIP64 = 0x0001;
/** torch's own ("FB"): fills up to where the data is aligned to 64 bytes, or to what `.storage_alignment` says. */
const PADDING = 0x4246;
const ELSEWHERE = 0xffff_ffff;

/**
 * The extra fields that torch writes, and no others: a field can hold a second name or anything else. Source: APPNOTE.TXT,
 * 4.5.3; caffe2/serialize/inline_container.cc (`getPadding`).
 */
export function readZipExtra(bytes: Buffer, fail: (problem: string) => never): ZipExtra {
  let zip64: number[] | undefined;
  for (let at = 0; at < bytes.length; ) {
    if (at + 4 > bytes.length) fail(`has ${bytes.length - at} bytes after its extra fields`);
    const id = bytes.readUInt16LE(at);
    const length = bytes.readUInt16LE(at + 2);
    const start = at + 4;
    at = start + length;
    if (at > bytes.length) fail(`has an extra field of ${length} bytes, which is cut off`);
    if (id === PADDING) continue;
    if (id !== ZIP64) fail(`has the extra field 0x${id.toString(16).padStart(4, '0')}; torch writes none such`);
    if (zip64 !== undefined) fail('has two zip64 fields');
    if (length % 8 !== 0) fail(`has a zip64 field of ${length} bytes`);
    zip64 = Array.from({ length: length / 8 }, (_, i) => wideNumber(bytes.readBigUInt64LE(start + 8 * i), fail));
  }
  return { zip64, wide: (fields, failWide) => widened(fields, zip64 ?? [], failWide) };
}

function widened(fields: readonly number[], numbers: readonly number[], fail: (problem: string) => never): number[] {
  const left = [...numbers];
  const wide = fields.map((field) => (field === ELSEWHERE ? (left.shift() ?? fail('lacks a zip64 number')) : field));
  return left.length === 0 ? wide : fail('has a zip64 number for what is already said');
}

function wideNumber(value: bigint, fail: (problem: string) => never): number {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : fail(`has the number ${value} in its zip64 field`);
}
