import { createInterface } from 'node:readline/promises';
import type { Readable, Writable } from 'node:stream';
import { BirdboneError } from '../errors.js';

/** A terminal to ask on, or what stands in for one. */
export interface Terminal {
  readonly input: Readable & { readonly isTTY?: boolean };
  readonly output: Writable & { readonly isTTY?: boolean };
}

export interface Question {
  /** Shown before the question: what saying yes would do. */
  readonly impact: string;
  readonly question: string;
  /** False where nobody may be asked, as under --json. */
  readonly mayAsk: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Returns when somebody at the terminal has read the impact and typed y or yes. Throws `usage` where nobody can be asked: a script
 * says --yes. Throws `interrupted` for any other answer, and for Ctrl-C or the end of the input.
 */
export async function confirm(
  { impact, question, mayAsk, signal }: Question,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<void> {
  if (!mayAsk || input.isTTY !== true || output.isTTY !== true) {
    throw new BirdboneError('usage', 'This changes the published model, and there is nobody to ask.', {
      suggestions: ['See what it would change: --dry-run', 'Say yes beforehand: --yes'],
    });
  }
  output.write(`${impact}\n`);
  if (!(await answersYes(question, { input, output }, signal))) {
    throw new BirdboneError('interrupted', 'Nothing was changed.');
  }
}

async function answersYes(question: string, { input, output }: Terminal, signal?: AbortSignal): Promise<boolean> {
  const lines = createInterface({ input, output, terminal: false });
  // The input may end without a line, and then nothing would ever answer.
  const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
  try {
    const answer = await Promise.race([lines.question(`${question} [y/N] `, signal ? { signal } : {}), ended]);
    return /^\s*y(?:es)?\s*$/i.test(answer);
  } catch (error) {
    if ((error as Error).name === 'AbortError') return false;
    throw error;
  } finally {
    lines.close();
  }
}
