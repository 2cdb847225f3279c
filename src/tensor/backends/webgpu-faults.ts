import { BirdboneError, type ErrorCode } from '../../errors.js';

export interface FaultLog {
  /** Throws `device` if the GPU has reported anything since the last call; it reports late, but before a later readback ends. */
  throwIfAny(): void;
}

/**
 * Keeps what a GPU reports on the side. A command that the GPU refuses throws nothing where it was given: its result is zeros
 * or old memory, and only these events say so.
 */
export function watchFaults(device: GPUDevice): FaultLog {
  let fault: { readonly code: ErrorCode; readonly message: string } | undefined;
  let lost: string | undefined;
  device.addEventListener('uncapturederror', (event) => {
    // Later errors only follow from the first. Unless prevented, Dawn prints each to the terminal as well.
    event.preventDefault();
    const isMemory = event.error.constructor.name === 'GPUOutOfMemoryError';
    fault ??= { code: isMemory ? 'out-of-memory' : 'device', message: event.error.message.split('\n')[0]! };
  });
  device.lost.then(({ reason, message }) => {
    if (reason !== 'destroyed') lost = message || 'the driver gave no reason';
  });
  return {
    throwIfAny() {
      if (lost !== undefined) {
        throw new BirdboneError('device', `The GPU was lost: ${lost}`, {
          suggestions: ['Run the command again with --resume', 'Use the CPU: --device cpu'],
        });
      }
      if (fault === undefined) return;
      const { code, message } = fault;
      fault = undefined;
      throw new BirdboneError(code, `The GPU refused a command, so that its results cannot be trusted: ${message}`, {
        suggestions: ['Use smaller batches of windows, or a shorter --context', 'Use the CPU: --device cpu'],
      });
    },
  };
}
