import { BirdboneError, type ErrorCode } from '../../errors.js';

export interface FaultLog {
  /** Throws `device` if the GPU has reported anything since the last call; it reports late, but before a later readback ends. */
  throwIfAny(): void;
  /**
   * What a failure of the GPU's own functions amounts to: what the GPU has reported, if anything, and else `out-of-memory` for a
   * RangeError, by which WebGPU refuses memory, and `device` for any other. A BirdboneError is given back as it is.
   */
  explain(error: unknown): BirdboneError;
  /** From here on, the loss of the device is what was asked for. */
  closing(): void;
}

interface Fault {
  readonly code: ErrorCode;
  readonly message: string;
}

/**
 * Keeps what a GPU reports on the side. A command that the GPU refuses throws nothing where it was given: its result is zeros
 * or old memory, and only these events say so.
 */
export function watchFaults(device: GPUDevice): FaultLog {
  let fault: Fault | undefined;
  let lost: string | undefined;
  let isClosing = false;
  device.addEventListener('uncapturederror', (event) => {
    // Later errors only follow from the first. Unless prevented, Dawn prints each to the terminal as well.
    event.preventDefault();
    const isMemory = event.error.constructor.name === 'GPUOutOfMemoryError';
    fault ??= { code: isMemory ? 'out-of-memory' : 'device', message: firstLine(event.error.message) };
  });
  device.lost.then(({ message }) => {
    if (!isClosing) lost = firstLine(message) || 'the driver gave no reason';
  });
  const take = (): BirdboneError | undefined => {
    if (lost !== undefined) return lostError(lost);
    const taken = fault;
    fault = undefined;
    return taken && refused(taken);
  };
  return {
    throwIfAny() {
      const error = take();
      if (error !== undefined) throw error;
    },
    explain: (error) => (error instanceof BirdboneError ? error : (take() ?? failed(error))),
    closing() {
      isClosing = true;
    },
  };
}

const SMALLER = 'Use smaller batches of windows, or a shorter --context';
const CPU = 'Use the CPU: --device cpu';

function lostError(reason: string): BirdboneError {
  return new BirdboneError('device', `The GPU was lost: ${reason}`, {
    suggestions: ['Run the command again; a run goes on with --resume', CPU],
  });
}

function refused({ code, message }: Fault): BirdboneError {
  return new BirdboneError(code, `The GPU refused a command, so that its results cannot be trusted: ${message}`, {
    suggestions: [SMALLER, CPU],
  });
}

function failed(error: unknown): BirdboneError {
  const message = error instanceof Error ? firstLine(error.message) : String(error);
  const code = error instanceof RangeError ? 'out-of-memory' : 'device';
  return new BirdboneError(code, `The GPU's driver failed: ${message || 'it gave no reason'}`, {
    suggestions: [SMALLER, CPU],
    cause: error,
  });
}

function firstLine(text: string): string {
  return text.split('\n')[0]!;
}
