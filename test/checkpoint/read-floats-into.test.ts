import { describe, expect, it } from 'vitest';
import { readFloats, readFloatsInto } from '../../src/checkpoint/index.js';
import { memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

/** Sixteen pieces of 1 MiB and a rest. */
const [ROWS, COLUMNS] = [1031, 8192];

describe('readFloatsInto', () => {
  const stored = Uint16Array.from({ length: ROWS * COLUMNS }, (_, i) => 0x3f80 + (i % 331));
  const bytes = new Uint8Array(stored.buffer);
  const checkpoint = memoryCheckpoint({ w: { dtype: 'BF16', shape: [ROWS, COLUMNS], bytes } });
  /** 1, and what the mantissa's seven bits and the exponent add. */
  const valueAt = (i: number) => new Float32Array(Uint32Array.of((0x3f80 + (i % 331)) * 65_536).buffer)[0];

  it('asks for memory that moves between pieces, and fills it', async () => {
    let memory = new Float32Array(ROWS * COLUMNS);
    let moves = 0;
    await readFloatsInto(checkpoint, 'w', () => {
      moves += 1;
      memory = memory.slice();
      return memory;
    });
    expect(moves).toBeGreaterThan(2);
    for (let i = 0; i < memory.length; i += 997) expect(memory[i]).toBe(valueAt(i));
    expect(memory.at(-1)).toBe(valueAt(memory.length - 1));
    const whole = await readFloats(checkpoint, 'w');
    expect(Buffer.from(whole.buffer).equals(Buffer.from(memory.buffer))).toBe(true);
  });

  it('reads rows from the middle, also twice at a time', async () => {
    const targets = [new Float32Array(600 * COLUMNS), new Float32Array(600 * COLUMNS)];
    const starts = [3, 400];
    await Promise.all(
      targets.map((target, k) => readFloatsInto(checkpoint, 'w', () => target, { start: starts[k]!, count: 600 })),
    );
    for (const [k, target] of targets.entries()) {
      for (let i = 0; i < target.length; i += 991) expect(target[i]).toBe(valueAt(starts[k]! * COLUMNS + i));
    }
  });
});
