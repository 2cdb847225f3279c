import path from 'node:path';
import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { type Advice, renderAdvice } from '../cli/advice-report.js';
import { BaseCommand } from '../cli/base-command.js';
import { amount, bytes, count, envOf } from '../cli/flags.js';
import { BirdboneError, EXIT_CODES } from '../errors.js';
import type { Choice, HardwareMemory, Profile, Strategy } from '../hardware/index.js';
import type { Model } from '../model/index.js';

const HARDWARE = ['auto', 'llama.cpp-cpu', 'vllm-h100', 'vllm-a100', 'laptop-8gb', 'mobile'] as const;
/** Tokens of a conversation that most people have. */
const DEFAULT_CONTEXT = 4096;

export default class Advise extends BaseCommand<typeof Advise> {
  static override readonly summary =
    'say how a model is best stored for a machine: size, memory and speed of each way, predicted';
  static override readonly description =
    'Reads shapes alone. Of the ways to store the weights that the engine of that hardware loads, it takes the one that keeps most bits within the limits. Memory and tokens a second come from a roofline (docs/hardware.md says how far off it was). This machine is measured once, and remembered with the choice. Exit code 4 when nothing keeps to the limits.';
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder or file' }),
  };
  static override readonly flags = {
    for: Flags.option({ options: HARDWARE })({
      summary: 'Hardware and engine; auto is this machine.',
      default: 'auto',
      env: envOf('for'),
    }),
    memory: bytes({ summary: 'At most so much memory for weights, cache and work.', env: envOf('memory') }),
    size: bytes({ summary: "At most so many bytes of weights' files.", env: envOf('size') }),
    'tokens-per-second': amount({
      summary: 'At least so many tokens a second, all sequences together.',
      env: envOf('tokens-per-second'),
    }),
    context: count({
      summary: `Tokens in the cache of each sequence; ${DEFAULT_CONTEXT} by default, or what the model was made for.`,
      env: envOf('context'),
    }),
    batch: count({
      summary: 'Sequences side by side; what is usual on that hardware by default.',
      env: envOf('batch'),
    }),
    fresh: Flags.boolean({ summary: 'Measure this machine and choose anew.', env: envOf('fresh') }),
  };
  static override readonly examples = [
    { description: 'For this machine', command: '<%= config.bin %> advise models/fledgling' },
    {
      description: 'For a laptop, with a limit of memory and of speed',
      command: '<%= config.bin %> advise models/fledgling --for laptop-8gb --memory 2GB --tokens-per-second 20 --json',
    },
  ];

  async run(): Promise<Advice> {
    const { choiceKey, chooseStrategy, hardwareCacheFile, readHardwareCache, writeHardwareCache } = await import(
      '../hardware/index.js'
    );
    const { openModel } = await import('../model/index.js');
    const { shellWord } = await import('../checkpoint/index.js');
    const file = hardwareCacheFile();
    const memory = await readHardwareCache(file);
    const model = await openModel(this.args.model);
    try {
      const { profile, machines } = await this.#profile(memory);
      const situation = this.#situation(model, profile);
      const limits = this.#limits();
      const key = choiceKey({
        tensors: shapesOf(model),
        profile: profile.name,
        machine: machineOf(profile),
        limits,
        situation,
      });
      const before = this.flags.fresh ? undefined : memory.choices[key];
      const choice = chooseStrategy(model, profile, { limits, situation, ...(before !== undefined && { before }) });
      const { chosen } = choice;
      if (chosen !== undefined) {
        const choices = { ...memory.choices, [key]: chosen.strategy.name };
        await writeHardwareCache(file, { machines, choices });
      }
      const remembered = chosen !== undefined && chosen.strategy.name === before;
      const advice = this.#advice({ choice, profile, situation }, { remembered, model: shellWord(this.args.model) });
      this.log(renderAdvice(advice));
      if (chosen === undefined) process.exitCode = EXIT_CODES['gate-failed'];
      return advice;
    } finally {
      await model.checkpoint.close();
    }
  }

  /** The profile that was asked for; this machine's figures from memory, or measured now. */
  async #profile({ machines }: HardwareMemory): Promise<{ profile: Profile; machines: HardwareMemory['machines'] }> {
    const { machineKey, measureMachine, OWN_MACHINE, profileOfMachine, profiles } = await import(
      '../hardware/index.js'
    );
    const named = profiles.get(this.flags.for);
    if (named !== undefined) return { profile: named, machines };
    if (!OWN_MACHINE.includes(this.flags.for)) throw new Error(`There is no profile ${this.flags.for}.`);
    const key = machineKey();
    const known = this.flags.fresh ? undefined : machines[key];
    const figures = known ?? (await measureMachine());
    return { profile: profileOfMachine(figures), machines: { ...machines, [key]: figures } };
  }

  #situation({ decoder }: Model, profile: Profile): { readonly context: number; readonly batch: number } {
    const { context = Math.min(DEFAULT_CONTEXT, decoder.maxContext), batch = profile.batch } = this.flags;
    if (context > decoder.maxContext) {
      throw new BirdboneError('usage', `The model takes at most ${decoder.maxContext} tokens, not ${context}.`, {
        suggestions: [`--context ${decoder.maxContext}`],
      });
    }
    return { context, batch };
  }

  #limits() {
    const { memory, size, 'tokens-per-second': speed } = this.flags;
    return {
      ...(memory !== undefined && { memoryBytes: memory }),
      ...(size !== undefined && { sizeBytes: size }),
      ...(speed !== undefined && { tokensPerSecond: speed }),
    };
  }

  #advice(
    { choice, profile, situation }: { choice: Choice; profile: Profile; situation: { context: number; batch: number } },
    { remembered, model }: { remembered: boolean; model: string },
  ): Advice {
    const chosen = choice.chosen?.strategy;
    const { name, description, source } = profile;
    return {
      model: this.args.model,
      hardware: { name, description, source },
      ...situation,
      candidates: choice.candidates.map(({ strategy, prediction, against }) => ({
        strategy: strategy.name,
        ...prediction,
        against,
      })),
      ...(chosen && { chosen: chosen.name, command: commandFor(model, chosen) }),
      reason: choice.reason,
      remembered,
      ...(choice.shed !== undefined && { shed: choice.shed }),
    };
  }
}

/** What to type for a strategy; one that keeps sixteen bits is only another file. */
function commandFor(model: string, { name, step }: Strategy): string {
  const base = path.basename(path.resolve(model)).replace(/\.(gguf|safetensors)$/, '');
  const out = path.join('out', step.format === 'gguf' ? `${base}-${name}.gguf` : `${base}-${name}`);
  if (step.scheme === 'fp16' || step.scheme === 'bf16') {
    return `birdbone convert ${model} --out ${out} --dtype ${step.scheme === 'fp16' ? 'f16' : 'bf16'}`;
  }
  // The gate wants a text in any case, and measures on what calibration leaves of it.
  const text = step.algorithm === undefined ? '--data TEXT' : `--algorithm ${step.algorithm} --calibration TEXT`;
  const groups = step.groupSize === undefined ? '' : ` --group-size ${step.groupSize}`;
  return `birdbone quantize ${model} --out ${out} --scheme ${step.scheme}${groups} --format ${step.format} ${text}`;
}

/** What of a model decides predictions. */
function shapesOf({ checkpoint }: Model): unknown {
  return [...checkpoint.tensors.values()].map(({ name, dtype, shape }) => [name, dtype, shape]);
}

/** What of a profile tells machines of one name apart. */
function machineOf({ memoryBytes, unpacking }: Profile): unknown {
  return [memoryBytes, unpacking?.cores ?? 0];
}
