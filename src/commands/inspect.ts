import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf } from '../cli/flags.js';
import { bar, table } from '../cli/picture.js';
import { formatBytes, formatCount, formatPercent } from '../cli/quantities.js';
import type { Inspection } from '../model/index.js';

export default class Inspect extends BaseCommand<typeof Inspect> {
  static override readonly summary = 'show what a checkpoint is: architecture, types, size, sparsity';
  static override readonly description =
    'Reads every weight once to count zeros; --headers-only leaves that out. Works on architectures that birdbone cannot run, too.';
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder, .safetensors, .gguf or torch file' }),
  };
  static override readonly flags = {
    tensors: Flags.boolean({ summary: 'List every tensor.', env: envOf('tensors') }),
    'headers-only': Flags.boolean({ summary: 'Do not read the weights.', env: envOf('headers-only') }),
  };
  static override readonly examples = [
    {
      description: 'Look at the model that comes with birdbone',
      command: '<%= config.bin %> inspect models/fledgling',
    },
    {
      description: 'The sparsity of one tensor of a large checkpoint, for a script',
      command:
        '<%= config.bin %> inspect models/llama-3-8b --json | jq \'.tensors[] | select(.name == "lm_head.weight") | .sparsity\'',
    },
  ];

  async run(): Promise<Inspection> {
    const { inspectModel } = await import('../model/index.js');
    const inspection = await inspectModel(this.args.model, {
      headersOnly: this.flags['headers-only'],
      report: this.report,
      signal: this.signal,
    });
    this.log(render(inspection, this.flags.tensors));
    return inspection;
  }
}

function render(inspection: Inspection, withTensors: boolean): string {
  const { path, format, architecture, refusal, parameters, bytes, bitsPerWeight, dtypes, tied, tensors, notices } =
    inspection;
  const types = Object.entries(dtypes).map(
    ([dtype, row]) => `${dtype} (${row.tensors} tensors, ${formatBytes(row.bytes)})`,
  );
  const lines = [
    `model         ${path}`,
    `format        ${format}, ${formatBytes(bytes)}, ${tensors.length} tensors`,
    `parameters    ${formatCount(parameters)}${bitsPerWeight === undefined ? '' : `, ${bitsPerWeight.toFixed(2)} bits each`}`,
    `types         ${types.join(', ')}`,
    ...Object.entries(tied).map(([alias, stored]) => `tied          ${alias} is ${stored}`),
    ...(architecture === undefined ? [`architecture  not understood: ${refusal}`] : renderArchitecture(architecture)),
    ...notices.map((notice) => `note          ${notice}`),
    ...renderSparsity(inspection),
  ];
  if (!withTensors) return lines.join('\n');
  const rows = tensors.map(({ name, dtype, shape, bytes: size, sparsity }) => [
    name,
    dtype,
    shape.join(' × '),
    formatBytes(size),
    sparsity === undefined ? '–' : formatPercent(sparsity),
  ]);
  return [...lines, '', table(rows, ['tensor', 'type', 'shape', 'size', 'zeros'])].join('\n');
}

function renderArchitecture(decoder: NonNullable<Inspection['architecture']>): string[] {
  const { architecture, blocks, hidden, ffn, heads, kvHeads, headDim, vocabulary, maxContext, slidingWindow } = decoder;
  const window = slidingWindow === undefined ? '' : `, sliding window ${slidingWindow}`;
  return [
    `architecture  ${architecture}: ${blocks} blocks, hidden ${hidden}, FFN ${ffn}`,
    `attention     ${heads} query heads, ${kvHeads} key/value heads of ${headDim}`,
    `text          vocabulary ${vocabulary}, context ${maxContext}${window}`,
  ];
}

function renderSparsity({ sparsity, blockSparsity }: Inspection): string[] {
  if (sparsity === undefined) return [];
  const blocks = blockSparsity ?? [];
  const digits = String(blocks.length - 1).length;
  return [
    `sparsity      ${formatPercent(sparsity)} of all weights`,
    ...blocks.map(
      (part, index) => `  block ${String(index).padStart(digits)}  ${bar(part, 24)}  ${formatPercent(part)}`,
    ),
  ];
}
