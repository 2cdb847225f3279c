import type { TensorInfo } from '../checkpoint.js';
import { beginTensorFile, TensorFileWriter } from '../files/tensor-file-writer.js';
import { planGguf } from './plan.js';
import type { GgufMetadata } from './value.js';

/** Writes one GGUF file; see `TensorFileWriter`. */
export class GgufWriter extends TensorFileWriter {
  /**
   * Begins the file under a temporary name beside it: everything but the values is known. Metadata and tensors keep their
   * order. Throws `unwritable`, and `unsupported` for a tensor that GGUF or llama.cpp has no place for.
   */
  static async create(file: string, metadata: GgufMetadata, infos: readonly TensorInfo[]): Promise<GgufWriter> {
    return new GgufWriter(await beginTensorFile(file, planGguf(file, metadata, infos)));
  }
}
