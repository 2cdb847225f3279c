import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { bytes, count, envOf, writerFlags } from '../cli/flags.js';
import type { Weighing } from '../weighing/index.js';

export default class Imatrix extends BaseCommand<typeof Imatrix> {
  static override readonly summary = "measure which inputs of a model count most, as llama.cpp's importance matrix";
  static override readonly description = [
    'Runs a text through the model and adds up the squares of what each column of each matrix is multiplied with.',
    'convert --imatrix and llama-quantize --imatrix then round to blocks with the errors weighed by it.',
  ].join('\n');
  static override readonly writes = 'files';
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder, .safetensors or .gguf file' }),
  };
  static override readonly flags = {
    out: Flags.string({
      summary: 'File to write, .gguf; must not exist.',
      required: true,
      helpValue: '<file.gguf>',
      env: envOf('out'),
    }),
    calibration: Flags.string({
      summary: 'Text, or calibration set, that is run through the model.',
      required: true,
      helpValue: '<file>',
      env: envOf('calibration'),
    }),
    'calibration-windows': count({
      summary: 'Windows of the text to use; 128 by default.',
      env: envOf('calibration-windows'),
    }),
    context: count({ summary: 'Tokens in a window; 256 by default.', min: 2, env: envOf('context') }),
    memory: bytes({
      summary: 'Memory for hidden states before they go to disk; 1GiB by default.',
      env: envOf('memory'),
    }),
    ...writerFlags,
  };
  static override readonly examples = [
    {
      description: 'The importance of every column on a text',
      command:
        '<%= config.bin %> imatrix models/fledgling --calibration models/fledgling/calibration.txt --out imatrix.gguf',
    },
    {
      description: 'A model at about 4 bits whose errors are weighed by it',
      command:
        '<%= config.bin %> imatrix models/fledgling --calibration models/fledgling/calibration.txt --out imatrix.gguf && <%= config.bin %> convert models/fledgling --out out/fledgling.gguf --dtype q4_k_m --imatrix imatrix.gguf',
    },
  ];

  async run(): Promise<Weighing> {
    const { weigh } = await import('../weighing/index.js');
    const { out, calibration, 'calibration-windows': windows = 128, context = 256, memory, device } = this.flags;
    const result = await weigh({
      model: this.args.model,
      out,
      calibration: { file: calibration, windows, context },
      device,
      ...this.deviceOptions,
      ...(memory !== undefined && { memoryBytes: memory }),
      dryRun: this.flags['dry-run'],
      report: this.report,
      signal: this.signal,
    });
    const text = `${result.tokens} tokens in ${result.windows} windows of ${calibration}`;
    this.log(
      result.written ? `wrote  ${out}: ${result.entries} matrices, on ${text}` : `would write ${out}, on ${text}`,
    );
    return result;
  }
}
