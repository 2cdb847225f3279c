import { describe, expect, it } from 'vitest';
import { readAhead } from '../../src/threads/read-ahead.js';

const later = <T>(value: T) => new Promise<T>((resolve) => setImmediate(resolve, value));

describe('readAhead', () => {
  it('keeps the order and starts no more than depth reads ahead', async () => {
    let started = 0;
    const reads = Array.from({ length: 10 }, (_, index) => () => {
      started += 1;
      return later(index);
    });
    const seen: number[] = [];
    for await (const value of readAhead(reads, 2)) {
      seen.push(value);
      expect(started).toBe(Math.min(10, value + 3));
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('throws a failed read in its turn, and no failure goes unhandled', async () => {
    const reads = [() => later(1), () => Promise.reject(new Error('second')), () => Promise.reject(new Error('third'))];
    const seen: number[] = [];
    const consume = async () => {
      for await (const value of readAhead(reads, 2)) seen.push(value);
    };
    await expect(consume()).rejects.toThrow('second');
    expect(seen).toEqual([1]);
  });

  it('leaves no read under way when the consumer stops early', async () => {
    let underWay = 0;
    const reads = Array.from({ length: 6 }, () => async () => {
      underWay += 1;
      await later(0);
      underWay -= 1;
    });
    for await (const _ of readAhead(reads, 3)) break;
    expect(underWay).toBe(0);
  });
});
