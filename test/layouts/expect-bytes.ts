import { expect } from 'vitest';

/** Expects the same bytes; `toEqual` compares a hundred thousand of them one by one for seconds. */
export function expectBytes(found: Uint8Array, expected: Uint8Array, what = ''): void {
  if (Buffer.compare(found, expected) === 0) return;
  const at = found.findIndex((byte, index) => byte !== expected[index]);
  const [here, there] = [found, expected].map((bytes) => `${bytes.length} bytes, [${at}] = ${bytes[at]}`);
  expect.fail(`${what}: ${here}, where ${there} was expected`);
}
