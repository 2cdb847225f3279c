import { describe, expect, it } from 'vitest';
import { SpareMemory } from '../../src/threads/index.js';

describe('spare memory', () => {
  it('gives what came back before it takes new, and never one piece twice', () => {
    const memory = new SpareMemory(64);
    const [first, second] = [memory.take(), memory.take()];
    expect(first.buffer).not.toBe(second.buffer);
    memory.give(first);
    expect(memory.take().buffer).toBe(first.buffer);
    expect(memory.take().buffer).not.toBe(first.buffer);
  });

  it('takes back a piece by any part of it, whole', () => {
    const memory = new SpareMemory(64);
    const piece = memory.take();
    memory.give(piece.subarray(3, 5));
    const again = memory.take();
    expect(again.buffer).toBe(piece.buffer);
    expect(again).toHaveLength(64);
  });

  it('is one memory with that of a thread', () => {
    const piece = new SpareMemory(64).take();
    structuredClone(piece)[7] = 9;
    expect(piece[7]).toBe(9);
  });
});
