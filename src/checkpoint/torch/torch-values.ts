import type { ElementDtype } from '../../tensor/index.js';
import { Made, type PickleValue } from './pickle-values.js';

/** What a callable gives for its arguments. */
export type AllowedCall = (args: readonly PickleValue[], site: CallSite) => PickleValue;

/** One of the names on the list of what weights need that may be called. */
export class AllowedGlobal extends Made {
  readonly what: string;
  readonly call: AllowedCall;
  constructor(what: string, call: AllowedCall) {
    super();
    this.what = what;
    this.call = call;
  }
}

/** How a reader says what is wrong, at the place where it is; both throw. */
export interface Complaints {
  /** The file breaks the rules of its format: `unreadable`. */
  readonly fail: (problem: string) => never;
  /** The format allows it, and birdbone does not read it: `unsupported`. */
  readonly refuse: (problem: string) => never;
}

export interface CallSite extends Complaints {
  /** Takes bytes off the pickle's memory budget. */
  readonly charge: (bytes: number) => void;
}

/** torch.FloatStorage and its like. */
export class StorageType extends Made {
  readonly what: string;
  /** The type of its elements; undefined where the tensor says it, and elements are bytes. */
  readonly dtype: ElementDtype | undefined;
  constructor(what: string, dtype: ElementDtype | undefined) {
    super();
    this.what = what;
    this.dtype = dtype;
  }
}

/** torch.float32 and its like. */
export class TorchDtype extends Made {
  readonly what: string;
  readonly dtype: ElementDtype;
  constructor(what: string, dtype: ElementDtype) {
    super();
    this.what = what;
    this.dtype = dtype;
  }
}

/** The bytes that tensors are views of, as a persistent id tells of them. */
export class Storage extends Made {
  readonly what = 'a storage';
  /** What the archive or the file calls it. */
  readonly key: string;
  readonly type: StorageType;
  readonly byteLength: number;
  /** Where it starts within the bytes of `key`: above 0 for a legacy file's view of another storage. */
  readonly byteStart: number;
  constructor(key: string, type: StorageType, range: { readonly byteStart: number; readonly byteLength: number }) {
    super();
    this.key = key;
    this.type = type;
    this.byteStart = range.byteStart;
    this.byteLength = range.byteLength;
  }
}

/** A tensor as the pickle describes it: elements of a storage. Offset and strides count elements; nothing is checked yet. */
export class TensorView extends Made {
  readonly what = 'a tensor';
  readonly storage: Storage;
  readonly dtype: ElementDtype;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  constructor(storage: Storage, dtype: ElementDtype, place: Pick<TensorView, 'offset' | 'shape' | 'strides'>) {
    super();
    this.storage = storage;
    this.dtype = dtype;
    this.offset = place.offset;
    this.shape = place.shape;
    this.strides = place.strides;
  }
}

/** Something that a checkpoint may hold and weights do not depend on, such as torch.device('cuda'). */
export class Aside extends Made {
  readonly what: string;
  constructor(what: string) {
    super();
    this.what = what;
  }
}
