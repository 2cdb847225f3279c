import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { renderConversion } from '../cli/conversion-report.js';
import { bytes, envOf, writerFlags } from '../cli/flags.js';
import type { Conversion } from '../conversion/index.js';

const DTYPES = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;
/** The mixes of src/ggml/mixes.ts, which a start of the program is not to load; a test holds them together. */
export const MIXES = [
  ...['q2_k', 'q3_k_s', 'q3_k_m', 'q3_k_l', 'q4_0', 'q4_k_s', 'q4_k_m', 'q4_1', 'q5_0', 'q5_k_s', 'q5_k_m', 'q5_1'],
  ...['q6_k', 'q8_0'],
];

export default class Convert extends BaseCommand<typeof Convert> {
  static override readonly summary = 'write a model in another format: safetensors, GGUF';
  static override readonly description = [
    'Reads safetensors, GGUF, .bin and .pt. An output that ends in .gguf is a file for llama.cpp, any other a Hugging Face folder with safetensors.',
    'The Llama family goes both ways, tokenizer included; tensors of other architectures go into safetensors as they are.',
    'Every weight that a float --dtype changes is counted: values too large for it become its largest finite value, not infinity.',
    'Into a GGUF weights can also be rounded to blocks, in the mixes of types that llama.cpp names: --dtype q4_k_m. Nothing is measured then; quantize does that.',
    'What the new format cannot say is listed. The output appears whole or not at all, and replaces nothing.',
  ].join('\n');
  static override readonly writes = 'files';
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder, or a .safetensors, .gguf, .bin or .pt file' }),
  };
  static override readonly flags = {
    out: Flags.string({
      summary: 'File that ends in .gguf, or folder; must not exist.',
      required: true,
      helpValue: '<file.gguf>|<dir>',
      env: envOf('out'),
    }),
    dtype: Flags.option({ options: ['f32', 'f16', 'bf16', ...MIXES] })({
      summary:
        'Type of the weights, or for a GGUF a mix of block types; by default each keeps its own. Norms are f32 in a GGUF.',
      helpValue: 'f16|q8_0|q4_k_m|…',
      env: envOf('dtype'),
    }),
    imatrix: Flags.string({
      summary:
        'Importance matrix of llama.cpp: how much an error in each column counts when weights are rounded to blocks.',
      helpValue: '<file>',
      env: envOf('imatrix'),
    }),
    'max-shard-size': bytes({
      summary: 'Size above which safetensors is split into several files; 5GB by default.',
      env: envOf('max-shard-size'),
    }),
    ...writerFlags,
  };
  static override readonly examples = [
    {
      description: 'A model for llama.cpp, in half precision',
      command: '<%= config.bin %> convert models/fledgling --out out/fledgling.gguf --dtype f16',
    },
    {
      description: 'A model for llama.cpp at about 4 bits',
      command: '<%= config.bin %> convert models/fledgling --out out/fledgling.gguf --dtype q4_k_m',
    },
    {
      description: 'A GGUF as a folder for transformers; see first what would be written',
      command: '<%= config.bin %> convert model.gguf --out out/model --dry-run',
    },
  ];

  async run(): Promise<Conversion> {
    const { convert } = await import('../conversion/index.js');
    const { out, dtype, imatrix, 'max-shard-size': maxShardBytes, 'dry-run': dryRun } = this.flags;
    const cast = dtype === undefined ? undefined : DTYPES[dtype as keyof typeof DTYPES];
    const conversion = await convert({
      model: this.args.model,
      out,
      ...(cast !== undefined && { dtype: cast }),
      ...(dtype !== undefined && cast === undefined && { mix: dtype }),
      ...(imatrix !== undefined && { imatrix }),
      ...(maxShardBytes !== undefined && { maxShardBytes }),
      ...(dryRun !== undefined && { dryRun }),
      report: this.report,
      signal: this.signal,
    });
    this.log(renderConversion(conversion));
    return conversion;
  }
}
