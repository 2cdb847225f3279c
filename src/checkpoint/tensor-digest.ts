import { createHash, type Hash } from 'node:crypto';
import type { TensorInfo } from './checkpoint.js';

/** What the digest of a tensor begins with, before its bytes: see `beginTensorDigest`. */
export function tensorDigestPrefix({ dtype, shape }: Pick<TensorInfo, 'dtype' | 'shape'>): string {
  return `${dtype}\0${shape.join(',')}\0`;
}

/**
 * The digest under which manifests and the state store know a tensor, begun: sha256 over the UTF-8 text
 * `${dtype}\0${shape.join(',')}\0`. The caller adds the tensor's bytes as safetensors stores them, and takes it in hex. So the
 * same bytes under another type or shape are another tensor.
 */
export function beginTensorDigest(info: Pick<TensorInfo, 'dtype' | 'shape'>): Hash {
  return createHash('sha256').update(tensorDigestPrefix(info));
}
