let registered: Promise<void> | undefined;

/**
 * Makes `tf.grad`, `tf.variableGrads` and tfjs's optimisers work: registers the gradient functions that tfjs-core's Node build
 * leaves out. Once for the process, whichever device is open; later calls cost nothing.
 *
 * The WASM device lacks the kernel behind the gradient of `gather`: look embeddings up as a product with one-hot rows instead.
 */
export function enableGradients(): Promise<void> {
  registered ??= import('#tfjs-gradients').then(() => undefined);
  return registered;
}
