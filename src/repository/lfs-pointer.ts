/** What a git-lfs pointer says of the content that it stands for. */
export interface LfsPointer {
  /** Its sha256. */
  readonly sha256: string;
  readonly size: number;
}

/** git-lfs writes 120 to 140 bytes and takes nothing longer for a pointer. Source: git-lfs, docs/spec.md. */
export const MAX_POINTER_BYTES = 1024;

const VERSION = /^version https:\/\/(?:git-lfs\.github\.com|hawser\.github\.com)\/spec\/v1$/;

/**
 * The pointer in a file's bytes; undefined for any other content. Every byte must be as git-lfs's specification has it:
 * whatever it would take for content is content here too.
 */
export function parseLfsPointer(bytes: Uint8Array): LfsPointer | undefined {
  if (bytes.length > MAX_POINTER_BYTES) return undefined;
  const lines = Buffer.from(bytes).toString('latin1').split('\n');
  const [version = '', ...fields] = lines.at(-1) === '' ? lines.slice(0, -1) : lines;
  if (!VERSION.test(version)) return undefined;
  // Extensions, which say how the content was made, come between version and oid.
  const [oid, size] = fields.filter((line) => !/^ext-\d-[\w.-]+ sha256:[0-9a-f]{64}$/.test(line));
  const sha256 = /^oid sha256:([0-9a-f]{64})$/.exec(oid ?? '')?.[1];
  const digits = /^size (0|[1-9]\d{0,15})$/.exec(size ?? '')?.[1];
  const isWhole = fields.filter((line) => !line.startsWith('ext-')).length === 2;
  if (sha256 === undefined || digits === undefined || !isWhole) return undefined;
  const count = Number(digits);
  return Number.isSafeInteger(count) ? { sha256, size: count } : undefined;
}
