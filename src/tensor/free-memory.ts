import { MessageChannel } from 'node:worker_threads';

/** What is posted to a closed port goes nowhere, and memory that goes with it is freed. */
const { port1: nowhere } = new MessageChannel();
nowhere.close();

/** Smaller arrays cost less as garbage than the call that frees them. */
const WORTH_FREEING_BYTES = 2 ** 16;

/**
 * Gives a large array's memory back at once; the array, and every other over the same buffer, is empty afterwards and not to be used.
 * Small ones are left to the garbage collector, which large ones come and go too fast for: it lets some 50 MB pile up first, and a new
 * array then has to be brought from the system page by page, which takes ten times as long as using the same pages again.
 */
export function freeMemory({ buffer }: { readonly buffer: ArrayBufferLike }): void {
  if (buffer.byteLength >= WORTH_FREEING_BYTES) nowhere.postMessage(undefined, [buffer as ArrayBuffer]);
}
