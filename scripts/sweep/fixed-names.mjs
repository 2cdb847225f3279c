// Preloaded into a command (node --import): random names become the same in every run, so that strace can be told the paths of
// files that do not exist yet. Only the command that is struck runs so; the ones after it draw their own names.

import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

let drawn = 0;
const next = (length) => {
  drawn += 1;
  const bytes = Buffer.alloc(length, 0xab);
  bytes.writeUIntBE(drawn, Math.max(0, length - 4), Math.min(4, length));
  return bytes;
};

crypto.randomBytes = next;
crypto.randomUUID = () =>
  next(16)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
syncBuiltinESMExports();
