import { BirdboneError } from '../../src/errors.js';
import { BrokenInvariant } from './fuzz-format.js';

/** What a reader may say of a file: that it breaks the rules, or that the rules allow more than birdbone reads. */
const CODES: ReadonlySet<string> = new Set(['unreadable', 'unsupported']);

/** A message is for a person, whatever the file's names hold. */
const MAX_MESSAGE_CHARACTERS = 4000;
const STEERS_TERMINAL = /[\p{Cc}\p{Bidi_Control}]/u;

/** Returns when `error` is a refusal as users are promised it: typed, naming the file, safe to print. Throws it otherwise. */
export function checkRefusal(error: unknown, path: string): void {
  if (!(error instanceof BirdboneError)) throw error;
  const fail = (problem: string): never => {
    throw new BrokenInvariant(`the refusal ${problem}: ${JSON.stringify(error.message.slice(0, 200))}`, {
      cause: error,
    });
  };
  if (!CODES.has(error.code)) fail(`has the code ${error.code}`);
  if (error.file?.startsWith(path) !== true) fail(`names the file ${error.file}`);
  if (!error.message.includes(path)) fail('does not name the file in its message');
  if (error.message.length > MAX_MESSAGE_CHARACTERS) fail(`has ${error.message.length} characters`);
  if (STEERS_TERMINAL.test(error.message)) fail('has control characters');
}
