import type { TensorInfo } from '../checkpoint.js';
import { beginTensorFile, TensorFileWriter } from '../files/tensor-file-writer.js';
import { makeSafetensorsHeader } from './plan.js';

/** Writes one safetensors file; see `TensorFileWriter`. */
export class SafetensorsWriter extends TensorFileWriter {
  /**
   * Begins the file under a temporary name beside it: everything but the values is known. Throws `unwritable`, and
   * `unsupported` for more tensors or metadata than a safetensors header can have.
   */
  static async create(
    file: string,
    infos: readonly TensorInfo[],
    metadata: Readonly<Record<string, string>>,
  ): Promise<SafetensorsWriter> {
    return new SafetensorsWriter(await beginTensorFile(file, makeSafetensorsHeader(file, infos, metadata)));
  }
}
