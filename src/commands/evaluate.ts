import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { bytes, count, envOf } from '../cli/flags.js';
import { table } from '../cli/picture.js';
import { formatCount, formatPercent } from '../cli/quantities.js';
import { dataFlags } from '../cli/recipe-flags.js';
import type { Evaluation } from '../evaluation/index.js';

export default class Evaluate extends BaseCommand<typeof Evaluate> {
  static override readonly summary = 'measure perplexity and next-token accuracy on a text';
  static override readonly description = [
    'Each figure has a 95 % interval, bootstrapped over the windows or documents.',
    'With --base, the model is compared with another one on the same tokens: accuracy loss, KL divergence, how often both would say the same, and how many predictions flipped.',
  ].join('\n');
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder, .safetensors or .gguf file' }),
  };
  static override readonly flags = {
    ...dataFlags,
    data: Flags.string({
      summary: 'Text or JSONL file to measure on.',
      required: true,
      helpValue: '<file>',
      env: envOf('data'),
    }),
    context: count({
      summary: 'Tokens in a window, or the most of a document; 256 by default.',
      min: 2,
      env: envOf('context'),
    }),
    base: Flags.string({ summary: 'Compare with this model.', helpValue: '<model>', env: envOf('base') }),
    memory: bytes({
      summary: 'Memory for hidden states before they go to disk; 1GiB by default.',
      env: envOf('memory'),
    }),
  };
  static override readonly examples = [
    {
      description: 'How well a model predicts a text',
      command: '<%= config.bin %> evaluate models/fledgling --data models/fledgling/evaluation.txt',
    },
    {
      description: 'What pruning cost',
      command:
        '<%= config.bin %> evaluate out/half --base models/fledgling --data models/fledgling/evaluation.txt --json',
    },
  ];

  async run(): Promise<Evaluation> {
    const { evaluateModel } = await import('../evaluation/index.js');
    const { data, protocol = 'windows', context = 256, limit, base, seed = 0, memory, device } = this.flags;
    const evaluation = await evaluateModel({
      model: this.args.model,
      data,
      protocol,
      context,
      seed,
      device,
      ...this.deviceOptions,
      ...(limit !== undefined && { limit }),
      ...(base !== undefined && { base }),
      ...(memory !== undefined && { memoryBytes: memory }),
      report: this.report,
      signal: this.signal,
    });
    this.log(render(evaluation));
    return evaluation;
  }
}

const decimals = (value: number): string => value.toPrecision(5);
const percent = (value: number): string => formatPercent(value, 2);

/** Figures that people see, in this order, each in its unit. */
const SHOWN = {
  perplexity: decimals,
  accuracy: percent,
  accuracyLoss: percent,
  perplexityRatio: decimals,
  kl: decimals,
  agreement: percent,
  lost: percent,
  gained: percent,
  flips: percent,
} as const satisfies Partial<Record<keyof Evaluation, (value: number) => string>>;

function render(evaluation: Evaluation): string {
  const { base, tokens, passages, protocol, context, data } = evaluation;
  const rows = Object.entries(SHOWN).flatMap(([name, format]) => {
    const value = evaluation[name as keyof typeof SHOWN];
    if (value === undefined) return [];
    const [low, high] = evaluation.intervals[name] ?? [];
    const interval = low === undefined || high === undefined ? '' : `${format(low)} to ${format(high)}`;
    const dense = name === 'perplexity' || name === 'accuracy' ? base?.[name] : undefined;
    return [[name, format(value), interval, ...(base === undefined ? [] : [dense === undefined ? '' : format(dense)])]];
  });
  const header = ['', 'value', '95 % interval', ...(base === undefined ? [] : ['base'])];
  return [
    table(rows, header),
    '',
    `${formatCount(tokens)} tokens in ${passages} ${protocol} of up to ${context} tokens of ${data.name}`,
  ].join('\n');
}
