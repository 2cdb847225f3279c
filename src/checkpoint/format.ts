import type { Checkpoint } from './checkpoint.js';
import type { ByteSource } from './files/bytes.js';

/** A file format that weights can be read from. */
export interface CheckpointFormat {
  readonly name: string;
  /** Says by the first bytes (up to 16) or the file's name whether a file claims to be of this format, sound or not. */
  recognises(head: Uint8Array, path: string): boolean;
  /**
   * Opens a recognised file, which the result closes; when this throws, the caller closes it. Throws `unreadable` for a file
   * that breaks the format's rules, `unsupported` for what the format allows and birdbone does not read.
   */
  open(file: ByteSource): Promise<Checkpoint>;
}
