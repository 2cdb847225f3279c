import { describe, expect, it } from 'vitest';
import { disposeTables, type PositionedBlock, positionTables } from '../../src/model/index.js';
import { inverseFrequencies } from '../../src/model/rope.js';
import { openDevice } from '../../src/tensor/index.js';

describe('inverseFrequencies', () => {
  it('is θ^(−2j/d)', () => {
    const [first, second, third, fourth] = inverseFrequencies({
      dimensions: 8,
      theta: 10_000,
      scaling: { kind: 'none' },
    });
    expect(first).toBe(1);
    expect(second).toBeCloseTo(0.1, 15);
    expect(third).toBeCloseTo(0.01, 15);
    expect(fourth).toBeCloseTo(0.001, 15);
  });

  it('divides all of them under linear scaling', () => {
    const plain = inverseFrequencies({ dimensions: 8, theta: 500, scaling: { kind: 'none' } });
    expect(inverseFrequencies({ dimensions: 8, theta: 500, scaling: { kind: 'linear', factor: 4 } })).toEqual(
      plain.map((value) => value / 4),
    );
  });

  // Llama 3.1's own rope_scaling at head_dim 128, theta 500000: by the wavelengths 2π · 500000^(j/64) against 8192 / 4 and
  // 8192 / 1, pairs 0 to 28 are kept, 35 to 63 divided by 8, and the six between are mixed.
  it('keeps the fast, divides the slow and mixes the middle under llama3 scaling', () => {
    const llama31 = {
      kind: 'llama3',
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalContext: 8192,
    } as const;
    const plain = inverseFrequencies({ dimensions: 128, theta: 500_000, scaling: { kind: 'none' } });
    const scaled = inverseFrequencies({ dimensions: 128, theta: 500_000, scaling: llama31 });
    const wavelengths = plain.map((value) => (2 * Math.PI) / value);
    wavelengths.forEach((wavelength, j) => {
      if (wavelength < 2048) expect(scaled[j]).toBe(plain[j]);
      else if (wavelength > 8192) expect(scaled[j]).toBe(plain[j]! / 8);
      else {
        const smooth = (8192 / wavelength - 1) / 3;
        expect(scaled[j]).toBeCloseTo(((1 - smooth) * plain[j]!) / 8 + smooth * plain[j]!, 12);
      }
    });
    expect([...scaled].filter((value, j) => value === plain[j]).length).toBe(29);
    expect([...scaled].filter((value, j) => value === plain[j]! / 8).length).toBe(29);
  });
});

const PLAIN = { theta: 10_000, scaling: { kind: 'none' } } as const;
const blockWith = (spec: PositionedBlock['spec']): PositionedBlock => ({ decoder: { maxContext: 64 }, spec });

describe('positionTables', () => {
  it('holds the cosines twice over, the sines, and a causal mask with the window', async () => {
    const device = await openDevice('cpu');
    const before = device.memory();
    const tables = positionTables(blockWith({ rope: { ...PLAIN, dimensions: 4 }, slidingWindow: 2 }), 3, device);
    const cos = await device.read(tables.rotation!.cos);
    const sin = await device.read(tables.rotation!.sin);
    const mask = await device.read(tables.mask);
    const angles = [0, 0, 0, 0, 1, 0.01, 1, 0.01, 2, 0.02, 2, 0.02];
    angles.forEach((angle, i) => {
      expect(cos[i]).toBeCloseTo(Math.cos(angle), 6);
      expect(sin[i]).toBeCloseTo(Math.sin(angle), 6);
    });
    expect([...mask].map((value) => (value === 0 ? 'sees' : 'no'))).toEqual([
      'sees',
      'no',
      'no',
      'sees',
      'sees',
      'no',
      'no',
      'sees',
      'sees',
    ]);
    disposeTables(tables);
    expect(device.memory()).toEqual(before);
    await device.close();
  });

  it('refuses more positions than the model was made for', async () => {
    const device = await openDevice('cpu');
    expect(() => positionTables({ ...blockWith({}), decoder: { maxContext: 8 } }, 9, device)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining('context of 8') }),
    );
    await device.close();
  });
});
