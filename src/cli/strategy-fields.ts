import { BirdboneError } from '../errors.js';

/** Advice for some hardware, as far as quantizing goes by it. */
export interface ShownAdvised {
  readonly profile: { readonly name: string };
  readonly choice: {
    /** Absent where nothing keeps to the limits. */
    readonly chosen?: { readonly strategy: { readonly name: string; readonly step: StrategyStep } };
    readonly reason: string;
    readonly shed?: number;
  };
  readonly remembered: boolean;
}

interface StrategyStep {
  readonly scheme: string;
  readonly format: string;
  readonly algorithm?: string;
  readonly groupSize?: number;
}

/** What was chosen for some hardware, as results have it. */
export interface ChosenStrategy {
  readonly hardware: string;
  readonly strategy: string;
  readonly reason: string;
  /** Whether it was chosen before, for the same model, hardware and limits. */
  readonly remembered: boolean;
}

/** A quantizing step's fields and format as the chosen strategy has them, and what to tell of the choice. */
export interface StrategyFields {
  readonly fields: Omit<StrategyStep, 'format'>;
  readonly format: string;
  readonly chosen: ChosenStrategy;
}

/**
 * What `quantize --for` does. Throws `gate-failed` where nothing keeps to the limits, and `usage` where sixteen bits do, which leave
 * nothing to quantize: both with the reasons.
 */
export function strategyFields({ profile, choice, remembered }: ShownAdvised, model: string): StrategyFields {
  const { chosen, reason, shed } = choice;
  if (chosen === undefined) {
    throw new BirdboneError('gate-failed', `No way to store ${model} for ${profile.name}: ${reason}`, {
      suggestions:
        shed === undefined
          ? ['Allow more: a larger --size']
          : [`Shed ${Math.round(100 * shed)} % first: birdbone prune … --plates auto --sparsity ${shed}`],
    });
  }
  const { name, step } = chosen.strategy;
  if (step.scheme === 'fp16' || step.scheme === 'bf16') {
    throw new BirdboneError('usage', `For ${profile.name} there is nothing to quantize in ${model}: ${reason}`, {
      suggestions: [
        'Limit what the weights may take: --size 2GB',
        `Only another file: birdbone convert ${model} --out … --dtype ${step.scheme === 'fp16' ? 'f16' : 'bf16'}`,
      ],
    });
  }
  const { format, ...fields } = step;
  return { fields, format, chosen: { hardware: profile.name, strategy: name, reason, remembered } };
}

/** The choice in a sentence of its own and its reasons. */
export function strategyText({ hardware, strategy, reason, remembered }: ChosenStrategy): string {
  return `For ${hardware}: ${strategy}${remembered ? ', as before' : ''}. ${reason}`;
}
