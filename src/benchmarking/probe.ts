/**
 * What `fork` runs to measure one model in one engine, so that its peak memory is that alone: answers each question on the channel to
 * its parent, and ends with it.
 */
import { readFileSync } from 'node:fs';
import { BirdboneError } from '../errors.js';
import type { Engine, ProbeSetup } from './engine.js';
import type { ProbeAnswer, ProbeQuestion } from './probe-process.js';

let engine: Engine | undefined;
let idleBytes = 0;

async function answer(question: ProbeQuestion): Promise<ProbeAnswer> {
  switch (question.ask) {
    case 'open': {
      const open = await engineOf(question.setup);
      idleBytes = process.memoryUsage.rss();
      engine = await open(question.setup);
      return { description: engine.description };
    }
    case 'round':
      return { round: await engine!.round() };
    case 'memory':
      return { peakBytes: peakBytes(), idleBytes };
    default:
      return question satisfies never;
  }
}

async function engineOf({ engine }: ProbeSetup): Promise<(setup: ProbeSetup) => Promise<Engine>> {
  if (engine === 'llama.cpp') return (await import('./llama-engine.js')).openLlama;
  return (await import('./birdbone-engine.js')).openBirdbone;
}

/** On Linux of this program alone: what getrusage says, a program inherits from the one that started it. */
function peakBytes(): number {
  if (process.platform !== 'linux') return 1024 * process.resourceUsage().maxRSS;
  return 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

function failureOf(error: unknown): ProbeAnswer {
  if (!(error instanceof BirdboneError))
    return { bug: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  const { code, message, suggestions, file, tensor } = error;
  return {
    failure: {
      code,
      message,
      suggestions,
      ...(file !== undefined && { file }),
      ...(tensor !== undefined && { tensor }),
    },
  };
}

process.on('message', (question: ProbeQuestion) => {
  void answer(question)
    .catch(failureOf)
    .then((said) => process.send!(said));
});
process.on('disconnect', () => process.exit());
