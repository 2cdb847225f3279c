import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { renderConversion } from '../cli/conversion-report.js';
import { bytes, envOf, writerFlags } from '../cli/flags.js';
import type { Conversion } from '../conversion/index.js';

const DTYPES = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;

export default class Convert extends BaseCommand<typeof Convert> {
  static override readonly summary = 'write a model in another format: safetensors, GGUF';
  static override readonly description = [
    'Reads safetensors, GGUF, .bin and .pt. An output that ends in .gguf is a file for llama.cpp, any other a Hugging Face folder with safetensors.',
    'The Llama family goes both ways, tokenizer included; tensors of other architectures go into safetensors as they are.',
    'Every weight that a --dtype changes is counted: values too large for it become its largest finite value, not infinity.',
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
    dtype: Flags.option({ options: ['f32', 'f16', 'bf16'] as const })({
      summary: 'Type of the weights; by default each keeps its own. Norms are f32 in a GGUF.',
      env: envOf('dtype'),
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
      description: 'A GGUF as a folder for transformers; see first what would be written',
      command: '<%= config.bin %> convert model.gguf --out out/model --dry-run',
    },
  ];

  async run(): Promise<Conversion> {
    const { convert } = await import('../conversion/index.js');
    const { out, dtype, 'max-shard-size': maxShardBytes, 'dry-run': dryRun } = this.flags;
    const conversion = await convert({
      model: this.args.model,
      out,
      ...(dtype !== undefined && { dtype: DTYPES[dtype] }),
      ...(maxShardBytes !== undefined && { maxShardBytes }),
      ...(dryRun !== undefined && { dryRun }),
      report: this.report,
      signal: this.signal,
    });
    this.log(renderConversion(conversion));
    return conversion;
  }
}
