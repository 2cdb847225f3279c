/** Every way in which a command can end other than well, with the exit status that scripts rely on (README, "Exit codes"). */
export const EXIT_CODES = {
  usage: 2,
  unreadable: 3,
  unsupported: 3,
  'gate-failed': 4,
  // A wave made the model give no numbers: like a failed gate, it was dropped and nothing was published.
  'not-finite': 4,
  mismatch: 5,
  device: 6,
  'out-of-memory': 6,
  // A full disk, a read-only folder: like memory, a resource of the machine that ran out. Nothing was published.
  unwritable: 6,
  interrupted: 130,
} as const;

/** Why a command ended badly; what scripts and `--json` see. */
export type ErrorCode = keyof typeof EXIT_CODES;

/** What an error says besides its message. */
export interface ErrorDetails {
  /** What to try, one imperative line each; shown as "Try this:". */
  readonly suggestions?: readonly string[];
  /** The file that is at fault, when one is. */
  readonly file?: string;
  /** The tensor that is at fault, when one is. */
  readonly tensor?: string;
  readonly cause?: unknown;
}

/**
 * A failure the user can act on. Its message says what is wrong (with the offending value) and what is allowed;
 * `suggestions` say what to try. Anything else that is thrown is a bug of ours and ends with exit code 1.
 */
export class BirdboneError extends Error {
  readonly code: ErrorCode;
  readonly suggestions: readonly string[];
  readonly file: string | undefined;
  readonly tensor: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'BirdboneError';
    this.code = code;
    this.suggestions = details.suggestions ?? [];
    this.file = details.file;
    this.tensor = details.tensor;
  }

  get exitCode(): number {
    return EXIT_CODES[this.code];
  }
}

/** Throws `interrupted` once the signal is aborted; long work calls it between units that it can stop after. */
export function stopIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new BirdboneError('interrupted', 'Interrupted.');
}
