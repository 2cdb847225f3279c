import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Checkpoint, JsonObject, TensorInfo } from '../../src/checkpoint/index.js';
import { decodedView } from '../../src/coding/index.js';
import { BirdboneError } from '../../src/errors.js';
import { layouts, readQuantized } from '../../src/layouts/index.js';
import { describeModel } from '../../src/model/index.js';
import { type Scheme, schemeOf } from '../../src/quantization/index.js';
import { codedModel } from '../layouts/coded-model.js';

const SIZES = { hidden_size: 32, num_key_value_heads: 4, intermediate_size: 64, num_hidden_layers: 1 } as const;
const Q = 'model.layers.0.self_attn.q_proj';

interface Stored {
  readonly checkpoint: Checkpoint;
  readonly config: JsonObject & { readonly quantization_config: JsonObject };
}

async function stored(layoutName: string, scheme: Scheme): Promise<Stored> {
  const model = await codedModel({
    schemeOf: (weight) => (weight.includes('_proj') ? scheme : undefined),
    sizes: SIZES,
  });
  const layout = await layouts.load(layoutName);
  const kvScales = layoutName === 'compressed-tensors' ? { kvScales: new Map([[0, { k: 1, v: 1 }]]) } : {};
  const checkpoint = await layout.write(model.view, model, model.config, kvScales);
  const { companions: _, ...rest } = checkpoint;
  return { checkpoint: rest, config: JSON.parse(checkpoint.companions!.get('config.json')!) };
}

const f16 = { scaleDtype: 'F16' } as const;
const packed = await stored('compressed-tensors', schemeOf('int4', { groupSize: 16, asymmetric: true, ...f16 }));
const int8 = await stored('compressed-tensors', schemeOf('w8a8'));
const fp8 = await stored('compressed-tensors', schemeOf('w8a8-fp8'));
const gptq = await stored('gptq', schemeOf('int4', { groupSize: 16, ...f16 }));
const awq = await stored('awq', schemeOf('int4', { groupSize: 16, ...f16 }));

/** Exchanges tensors: undefined removes one, bytes replace its bytes, fields change what the header says. */
type Change = undefined | Uint8Array | Partial<TensorInfo>;

function withTensors({ checkpoint, config }: Stored, changes: Readonly<Record<string, Change>>): Stored {
  const tensors = new Map(checkpoint.tensors);
  for (const [name, change] of Object.entries(changes)) {
    if (change === undefined) tensors.delete(name);
    else if (!(change instanceof Uint8Array)) {
      const before = tensors.get(name) ?? { name, dtype: 'F16' as const, shape: [1], byteLength: 2 };
      tensors.set(name, { ...before, ...change });
    }
  }
  const read: Checkpoint['read'] = async (name, range) => {
    const change = changes[name];
    const { byteLength } = tensors.get(name)!;
    const { offset, length } = range ?? { offset: 0, length: byteLength };
    if (change instanceof Uint8Array) return change.slice(offset, offset + length);
    return change === undefined ? checkpoint.read(name, range) : new Uint8Array(length);
  };
  return { checkpoint: { ...checkpoint, tensors, read }, config };
}

function withConfig({ checkpoint, config }: Stored, change: (quantization: Record<string, unknown>) => void): Stored {
  const copy = structuredClone(config) as { quantization_config: Record<string, unknown> };
  change(copy.quantization_config);
  return { checkpoint, config: copy as Stored['config'] };
}

async function open({ checkpoint, config }: Stored): Promise<void> {
  const view = await decodedView(await readQuantized(checkpoint, config, '/models/tiny/config.json'));
  const own = view.companions!.get('config.json')!;
  await describeModel(view, JSON.parse(own) as JsonObject);
  for (const name of view.tensors.keys()) await view.read(name);
}

const group = (quantization: Record<string, unknown>) =>
  (quantization['config_groups'] as { group_0: Record<string, Record<string, unknown>> }).group_0;

describe('tensors that do not fit', () => {
  it('are opened as they were written', async () => {
    for (const sound of [packed, int8, fp8, gptq, awq]) await expect(open(sound)).resolves.toBeUndefined();
  });

  const cases: readonly [string, Stored, Record<string, Change>, string, RegExp][] = [
    ['no scales of packed integers', packed, { [`${Q}.weight_scale`]: undefined }, `${Q}.weight_scale`, /missing/],
    ['no shape', packed, { [`${Q}.weight_shape`]: undefined }, `${Q}.weight_shape`, /missing/],
    ['no zero points', packed, { [`${Q}.weight_zero_point`]: undefined }, `${Q}.weight_zero_point`, /missing/],
    ['no weight beside the scales', packed, { [`${Q}.weight_packed`]: undefined }, `${Q}.weight`, /missing/],
    [
      'scales of another shape',
      packed,
      { [`${Q}.weight_scale`]: { shape: [32, 3], byteLength: 192 } },
      `${Q}.weight_scale`,
      /32, 3.*32, 2/,
    ],
    ['scales of integers', packed, { [`${Q}.weight_scale`]: { dtype: 'I16' } }, `${Q}.weight_scale`, /I16/],
    [
      'zero points of another shape',
      packed,
      { [`${Q}.weight_zero_point`]: { shape: [5, 2], byteLength: 40 } },
      `${Q}.weight_zero_point`,
      /5, 2/,
    ],
    [
      'packed rows of another width',
      packed,
      { [`${Q}.weight_packed`]: { shape: [32, 3], byteLength: 384 } },
      `${Q}.weight_packed`,
      /3 words/,
    ],
    ['packed floats', packed, { [`${Q}.weight_packed`]: { dtype: 'F32' } }, `${Q}.weight_packed`, /F32/],
    [
      'packed weights without elements',
      packed,
      { [`${Q}.weight_packed`]: { shape: [0, 4], byteLength: 0 } },
      `${Q}.weight_packed`,
      /matrix/,
    ],
    [
      'a shape of other rows',
      packed,
      { [`${Q}.weight_shape`]: new Uint8Array(BigInt64Array.of(33n, 32n).buffer) },
      `${Q}.weight_shape`,
      /33, 32/,
    ],
    [
      'a shape beyond all numbers',
      packed,
      { [`${Q}.weight_shape`]: new Uint8Array(BigInt64Array.of(32n, 2n ** 62n).buffer) },
      `${Q}.weight_shape`,
      /rows/,
    ],
    [
      'a negative shape',
      packed,
      { [`${Q}.weight_shape`]: new Uint8Array(BigInt64Array.of(32n, -1n).buffer) },
      `${Q}.weight_shape`,
      /-1/,
    ],
    [
      'a weight twice',
      packed,
      { [`${Q}.weight_scale_2`]: undefined, [`${Q}.weight_coding`]: { dtype: 'U8' } },
      `${Q}.weight_coding`,
      /as it is and quantized/,
    ],
    ['a k_scale alone', packed, { 'model.layers.0.self_attn.v_scale': undefined }, 'block 0', /no v_scale/],
    [
      'a scale that is no number',
      packed,
      { 'model.layers.0.self_attn.k_scale': new Uint8Array(Float32Array.of(Number.NaN).buffer) },
      'model.layers.0.self_attn.k_scale',
      /NaN/,
    ],
    ['int8 without scales', int8, { [`${Q}.weight_scale`]: undefined }, `${Q}.weight_scale`, /missing/],
    ['FP8 where integers are meant', int8, { [`${Q}.weight`]: { dtype: 'F8_E4M3' } }, `${Q}.weight`, /F8_E4M3/],
    ['a vector of FP8', fp8, { [`${Q}.weight`]: { shape: [1024] } }, `${Q}.weight`, /matrix/],
    [
      'a scale for every input of FP8',
      fp8,
      { [`${Q}.weight_scale`]: { shape: [32, 32], byteLength: 4096 } },
      `${Q}.weight_scale`,
      /32, 32/,
    ],
    ['GPTQ without scales', gptq, { [`${Q}.scales`]: undefined }, `${Q}.scales`, /missing/],
    ['GPTQ without zero points', gptq, { [`${Q}.qzeros`]: undefined }, `${Q}.qzeros`, /missing/],
    [
      'a group that is not there',
      gptq,
      { [`${Q}.g_idx`]: new Uint8Array(Int32Array.from({ length: 32 }, (_, i) => (i === 17 ? 2 : 0)).buffer) },
      `${Q}.g_idx`,
      /input 17 into group 2/,
    ],
    [
      'a negative group',
      gptq,
      { [`${Q}.g_idx`]: new Uint8Array(Int32Array.from({ length: 32 }, () => -1).buffer) },
      `${Q}.g_idx`,
      /group -1/,
    ],
    ['groups of fewer inputs', gptq, { [`${Q}.g_idx`]: { shape: [16], byteLength: 64 } }, `${Q}.g_idx`, /16/],
    ['zero points of 5 bits', gptq, { [`${Q}.qzeros`]: { shape: [2, 5], byteLength: 40 } }, `${Q}.qzeros`, /5 words/],
    [
      'zero points of 8 bits',
      gptq,
      { [`${Q}.qzeros`]: { shape: [2, 8], byteLength: 64 } },
      `${Q}.qweight`,
      /4 rows, and 32 inputs of 8 bits/,
    ],
    [
      'rows that are no whole unit',
      gptq,
      { [`${Q}.qweight`]: { shape: [5, 32], byteLength: 640 } },
      `${Q}.qweight`,
      /5 rows/,
    ],
    [
      'outputs that are no multiple of 32',
      gptq,
      { [`${Q}.qweight`]: { shape: [4, 31], byteLength: 496 } },
      `${Q}.qzeros`,
      /31 outputs/,
    ],
    ['scales of other groups', gptq, { [`${Q}.scales`]: { shape: [3, 32], byteLength: 192 } }, `${Q}.scales`, /3, 32/],
    [
      'groups that the group size does not give',
      gptq,
      {
        [`${Q}.g_idx`]: undefined,
        [`${Q}.scales`]: { shape: [4, 32], byteLength: 256 },
        [`${Q}.qzeros`]: { shape: [4, 4], byteLength: 64 },
      },
      `${Q}.scales`,
      /4 groups/,
    ],
    ['AWQ without scales', awq, { [`${Q}.scales`]: undefined }, `${Q}.scales`, /missing/],
    [
      'AWQ zero points of other groups',
      awq,
      { [`${Q}.qzeros`]: { shape: [3, 4], byteLength: 48 } },
      `${Q}.qzeros`,
      /3, 4/,
    ],
    [
      'AWQ inputs that groups do not divide',
      awq,
      { [`${Q}.qweight`]: { shape: [33, 4], byteLength: 528 } },
      `${Q}.qweight`,
      /33 inputs/,
    ],
  ];

  it.each(cases)('%s: refused with file, tensor and cause', async (_, sound, changes, tensor, cause) => {
    const error = await open(withTensors(sound, changes)).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(BirdboneError);
    expect(error).toMatchObject({ code: 'unreadable', file: '/models/tiny', tensor });
    expect((error as Error).message).toMatch(cause);
    expect((error as Error).message).toContain('/models/tiny');
  });
});

describe('configs that are not read', () => {
  const file = '/models/tiny/config.json';
  const cases: readonly [string, Stored, (quantization: Record<string, unknown>) => void, RegExp][] = [
    [
      'an unknown method',
      gptq,
      (q) => (q['quant_method'] = 'gptk'),
      /method "gptk".*Read: compressed-tensors, gptq, awq/,
    ],
    ['a method of Object', gptq, (q) => (q['quant_method'] = 'constructor'), /"constructor"/],
    ['no method', gptq, (q) => delete q['quant_method'], /absent/],
    ['5 bits of GPTQ', gptq, (q) => (q['bits'] = 5), /quantization_config.bits = 5; these are read: 2, 3, 4, 8/],
    ['no bits of GPTQ', gptq, (q) => delete q['bits'], /bits = nothing/],
    ['other bits than the tensors', gptq, (q) => (q['bits'] = 8), /4 bits by its shape, and config.json says 8/],
    ['Marlin', gptq, (q) => (q['checkpoint_format'] = 'marlin'), /checkpoint_format = "marlin"/],
    ['a group size of a text', gptq, (q) => (q['group_size'] = '128'), /group_size = "128"/],
    ['a negative group size', gptq, (q) => (q['group_size'] = -7), /group_size = -7/],
    ['a group size beyond all matrices', awq, (q) => (q['group_size'] = 1e15), /group_size = 1000000000000000/],
    ['8 bits of AWQ', awq, (q) => (q['bits'] = 8), /bits = 8; these are read: 4/],
    ['GEMV', awq, (q) => (q['version'] = 'GEMV'), /version = "GEMV"/],
    ['NVFP4', packed, (q) => (q['format'] = 'nvfp4-pack-quantized'), /format = "nvfp4-pack-quantized"/],
    ['NVFP4 in a group', packed, (q) => (group(q)['format'] = 'nvfp4-pack-quantized' as never), /group_0.format/],
    ['9 bits', packed, (q) => (group(q)['weights']!['num_bits'] = 9), /num_bits = 9/],
    ['other bits than are packed', packed, (q) => (group(q)['weights']!['num_bits'] = 8), /do not fill/],
    [
      'FP8 for packed integers',
      packed,
      (q) => Object.assign(group(q)['weights']!, { type: 'float', num_bits: 8 }),
      /config.json says float/,
    ],
    [
      'a strategy of attention',
      packed,
      (q) => (group(q)['weights']!['strategy'] = 'attn_head'),
      /strategy = "attn_head"/,
    ],
    ['dynamic weights', packed, (q) => (group(q)['weights']!['dynamic'] = true), /dynamic = true/],
    [
      'groups without a size',
      packed,
      (q) => (group(q)['weights']!['group_size'] = null),
      /group_size = nothing; groups need a size/,
    ],
    ['blocks without a shape', fp8, (q) => (group(q)['weights']!['strategy'] = 'block'), /block_structure/],
    [
      'blocks of nothing',
      fp8,
      (q) => Object.assign(group(q)['weights']!, { strategy: 'block', block_structure: [0, 128] }),
      /block_structure = \[0,128\]/,
    ],
    ['sparse weights', packed, (q) => (q['sparsity_config'] = { format: 'sparse-24-bitmask' }), /sparsity_config/],
    ['rotated weights', packed, (q) => (q['transform_config'] = { config_groups: { u: {} } }), /transform_config/],
    [
      'weights that are not quantized yet',
      packed,
      (q) => (q['quantization_status'] = 'frozen'),
      /quantization_status = "frozen"/,
    ],
    ['no groups', packed, (q) => delete q['config_groups'], /config_groups/],
    ['groups that are a list', packed, (q) => (q['config_groups'] = []), /config_groups = \[\]/],
    [
      'groups that mean other modules',
      packed,
      (q) => (group(q)['targets'] = ['Embedding'] as never),
      /no group of config.json targets it/,
    ],
    ['targets that are numbers', packed, (q) => (group(q)['targets'] = [1] as never), /targets = \[1\]/],
    ['a pattern that looks around', packed, (q) => (group(q)['targets'] = ['re:(?!x).*'] as never), /look-around/],
  ];

  it.each(cases)('%s: refused with the field and its value', async (_, sound, change, cause) => {
    const start = performance.now();
    const error = await open(withConfig(sound, change)).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(performance.now() - start).toBeLessThan(1000);
    expect(error).toBeInstanceOf(BirdboneError);
    expect((error as BirdboneError).file).toMatch(/^\/models\/tiny(?:\/config\.json)?$/);
    expect((error as Error).message).toMatch(cause);
    expect(file).toContain((error as BirdboneError).file);
  });

  it('that are anything but an object', async () => {
    for (const quantization_config of ['awq', 4, true, [1], ['gptq']]) {
      const config = { ...gptq.config, quantization_config: quantization_config as never };
      await expect(open({ checkpoint: gptq.checkpoint, config })).rejects.toMatchObject({ code: 'unreadable', file });
    }
  });
});

describe('anything else', () => {
  const soundOnes = [packed, int8, fp8, gptq, awq];
  const value = fc.oneof(
    fc.constantFrom<unknown>(
      null,
      -1,
      0,
      1,
      3,
      4,
      8,
      16,
      2 ** 31,
      2 ** 53,
      Number.NaN,
      1e300,
      '',
      'group',
      'channel',
      'int',
      'float',
      true,
      false,
    ),
    fc.constantFrom<unknown>(
      [],
      {},
      ['Linear'],
      ['re:.*'],
      [16, 16],
      [[1]],
      { format: 'dense' },
      'pack-quantized',
      'int-quantized',
      'gptq_v2',
    ),
  );

  it('is read, or refused by an error that says why', async () => {
    const shape = fc.array(fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 16, 31, 32, 33, 64, 128, 2 ** 31, 2 ** 40), {
      maxLength: 3,
    });
    const dtype = fc.constantFrom('I32', 'I64', 'I8', 'U8', 'F16', 'BF16', 'F32', 'F8_E4M3', 'F8_E5M2', 'BOOL');
    const change = fc.record({
      pick: fc.nat(),
      kind: fc.nat(3),
      shape,
      dtype: dtype as fc.Arbitrary<TensorInfo['dtype']>,
      key: fc.nat(),
      value,
    });
    await fc.assert(
      fc.asyncProperty(fc.nat(4), fc.array(change, { minLength: 1, maxLength: 3 }), async (which, changes) => {
        let mutant = soundOnes[which]!;
        for (const { pick, kind, shape: sizes, dtype: type, key, value: replacement } of changes) {
          const names = [...mutant.checkpoint.tensors.keys()].filter((name) => name.includes('_proj'));
          const name = names[pick % names.length]!;
          const bytes = 2 ** 20;
          if (kind === 0) mutant = withTensors(mutant, { [name]: undefined });
          if (kind === 1) mutant = withTensors(mutant, { [name]: { shape: sizes, byteLength: bytes } });
          if (kind === 2) mutant = withTensors(mutant, { [name]: { dtype: type } });
          if (kind === 3) mutant = withConfig(mutant, (quantization) => setSomewhere(quantization, key, replacement));
        }
        await open(mutant).catch((error: unknown) => {
          if (!(error instanceof BirdboneError)) throw error;
        });
      }),
      { numRuns: 400 },
    );
  });
});

/** Sets one field of an object or of one inside it. */
function setSomewhere(values: Record<string, unknown>, key: number, replacement: unknown): void {
  const fields: [Record<string, unknown>, string][] = [];
  const collect = (object: Record<string, unknown>) => {
    for (const [name, inner] of Object.entries(object)) {
      fields.push([object, name]);
      if (typeof inner === 'object' && inner !== null && !Array.isArray(inner))
        collect(inner as Record<string, unknown>);
    }
  };
  collect(values);
  const found = fields[key % Math.max(1, fields.length)];
  if (found !== undefined) found[0][found[1]] = replacement;
}
