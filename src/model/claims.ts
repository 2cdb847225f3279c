import type { Checkpoint, TensorInfo } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';

/** Element types that a weight may have; the others are quantized and need scales that nothing here reads. */
export const WEIGHT_DTYPES: readonly string[] = ['F32', 'F16', 'BF16', 'F64'];

/** Which stored tensors have found their meaning. */
export class Claims {
  readonly #checkpoint: Checkpoint;
  readonly #claimed = new Set<string>();

  readonly #absentPrefix: string;

  /** `optionalPrefix`: names may be stored without this beginning; if no tensor has it, none is looked for with it. */
  constructor(checkpoint: Checkpoint, optionalPrefix = '') {
    this.#checkpoint = checkpoint;
    const names = [...checkpoint.tensors.keys()];
    this.#absentPrefix = names.some((name) => name.startsWith(optionalPrefix)) ? '' : optionalPrefix;
  }

  has(name: string): boolean {
    const { tensors, aliases } = this.#checkpoint;
    const own = this.#withoutPrefix(name);
    return tensors.has(own) || aliases.has(own);
  }

  storedName(name: string): string {
    const own = this.#withoutPrefix(name);
    return this.#checkpoint.aliases.get(own) ?? own;
  }

  #withoutPrefix(name: string): string {
    const prefix = this.#absentPrefix;
    return prefix !== '' && name.startsWith(prefix) ? name.slice(prefix.length) : name;
  }

  /**
   * Returns the stored name behind `name`. Throws `unreadable` unless it is there with that shape, `unsupported` for a
   * dtype that is no weight's and for a tensor that already means something else: compressing one of the two would
   * change both.
   */
  claim(name: string, shape: readonly number[]): string {
    const stored = this.storedName(name);
    const info = this.#checkpoint.tensors.get(stored);
    const expected = `[${shape.join(', ')}]`;
    if (info === undefined)
      throw this.#wrong(this.#withoutPrefix(name), `it is missing; config.json implies it with shape ${expected}`);
    if (info.shape.join() !== shape.join()) {
      throw this.#wrong(stored, `its shape is [${info.shape.join(', ')}]; config.json implies ${expected}`);
    }
    this.#refuseDtype(info);
    if (this.#claimed.has(stored)) {
      throw this.#unsupported(stored, `is also ${name} by an alias; only embedding and head may share a tensor`);
    }
    this.#claimed.add(stored);
    return stored;
  }

  refuseSurplus(leftovers: readonly RegExp[]): void {
    const surplus = [...this.#checkpoint.tensors.keys()].filter(
      (name) => !this.#claimed.has(name) && !leftovers.some((pattern) => pattern.test(name)),
    );
    if (surplus.length === 0) return;
    const others = surplus.length === 1 ? '' : ` (and ${surplus.length - 1} more)`;
    throw this.#wrong(surplus[0]!, `config.json implies no such tensor${others}`);
  }

  #refuseDtype({ name, dtype }: TensorInfo): void {
    if (WEIGHT_DTYPES.includes(dtype)) return;
    throw this.#unsupported(name, `is ${dtype}; weights of these types are run: ${WEIGHT_DTYPES.join(', ')}`);
  }

  #unsupported(tensor: string, what: string): BirdboneError {
    const { path: file } = this.#checkpoint;
    return new BirdboneError('unsupported', `Tensor ${tensor} of ${file} ${what}.`, { file, tensor });
  }

  #wrong(tensor: string, reason: string): BirdboneError {
    const { path: file } = this.#checkpoint;
    return new BirdboneError('unreadable', `Cannot use tensor ${tensor} of ${file}: ${reason}.`, { file, tensor });
  }
}
