import { describe, expect, it } from 'vitest';
import { SpareMemory } from '../../src/threads/index.js';

describe('spare memory', () => {
  it('gives what came back before it takes new, and never one piece twice', () => {
    const memory = new SpareMemory(64);
    const [first, second] = [memory.take(), memory.take()];
    expect(first.buffer).not.toBe(second.buffer);
    memory.give(first.buffer);
    expect(memory.take().buffer).toBe(first.buffer);
    expect(memory.take().buffer).not.toBe(first.buffer);
  });

  it('lets go of memory of another size', () => {
    const memory = new SpareMemory(64);
    memory.give(new ArrayBuffer(63));
    expect(memory.take()).toHaveLength(64);
  });

  it('takes back a piece that went to a thread and returned under another name', () => {
    const memory = new SpareMemory(64);
    const back = structuredClone(memory.take(), { transfer: [] });
    memory.give(back.buffer);
    expect(memory.take().buffer).toBe(back.buffer);
  });
});
