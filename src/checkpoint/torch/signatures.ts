import { NEWEST_PROTOCOL } from './pickle-opcodes.js';

/** What a file is by its bytes, whatever it is called. */
export type Claim = 'zip' | 'pickle' | { readonly other: string };

interface Signature {
  readonly at: number;
  readonly bytes: string;
  readonly claim: Claim;
}

const SIGNATURES: readonly Signature[] = [
  { at: 0, bytes: 'PK\x03\x04', claim: 'zip' },
  // The end record alone: an archive without members.
  { at: 0, bytes: 'PK\x05\x06', claim: 'zip' },
  ...Array.from({ length: NEWEST_PROTOCOL - 1 }, (_, i): Signature => {
    return { at: 0, bytes: `\x80${String.fromCharCode(2 + i)}`, claim: 'pickle' };
  }),
  ...(
    [
      [0, '7z\xbc\xaf\x27\x1c', 'a 7-Zip archive'],
      [0, 'Rar!\x1a\x07', 'a RAR archive'],
      [0, '\x1f\x8b', 'compressed by gzip'],
      [0, 'BZh', 'compressed by bzip2'],
      [0, '\xfd7zXZ\0', 'compressed by xz'],
      [0, '\x28\xb5\x2f\xfd', 'compressed by zstd'],
      [0, '\x89HDF\r\n', 'an HDF5 file'],
      [0, 'GGUF', 'a GGUF file'],
      [0, '\x93NUMPY', 'an array of numpy'],
      [0, 'version https://git-lfs', 'a pointer of git-lfs; the file itself was not downloaded (git lfs pull)'],
      [257, 'ustar', 'a tar archive; torch before 0.1.11 wrote such'],
    ] as const
  ).map(([at, bytes, other]): Signature => ({ at, bytes, claim: { other } })),
];

/** How many of a file's first bytes tell what it is. */
export const SIGNATURE_BYTES = Math.max(...SIGNATURES.map(({ at, bytes }) => at + bytes.length));

/** Protocols 0 and 1 have no mark; a pickle of theirs that does something mostly starts with a Python name in two lines. */
const TEXT_PICKLE = /^\(?[ci][A-Za-z_][\w.]*\n[A-Za-z_]\w*\n/;

/** What a file's first bytes claim it to be; undefined when they could be anything. */
export function claimOf(head: Uint8Array): Claim | undefined {
  const text = Buffer.from(head.subarray(0, SIGNATURE_BYTES)).toString('latin1');
  const signature = SIGNATURES.find(({ at, bytes }) => text.startsWith(bytes, at));
  return signature === undefined && TEXT_PICKLE.test(text) ? 'pickle' : signature?.claim;
}
