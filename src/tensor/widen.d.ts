/** The bytes of widen.wat, compiled by scripts/build-kernels.mjs. */
export const wasm: Uint8Array<ArrayBuffer>;
