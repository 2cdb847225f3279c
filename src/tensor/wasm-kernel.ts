const PAGE_BYTES = 65_536;

/** A WebAssembly.Memory: its buffer is another one once it has grown. */
export interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** What is used of WebAssembly, which the types of Node 20 do not declare. */
declare const WebAssembly: {
  Memory: new (size: { readonly initial: number }) => Memory;
  Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  Instance: new (
    module: object,
    imports: { readonly host?: { readonly memory: Memory } },
  ) => { readonly exports: unknown };
};

/** The functions of a compiled kernel (scripts/build-kernels.mjs): in memory of its own, or in that of others where it asks for some. */
export function openKernel<Kernel>(wasm: Uint8Array<ArrayBuffer>, memory?: Memory): Kernel {
  const imports = memory === undefined ? {} : { host: { memory } };
  return new WebAssembly.Instance(new WebAssembly.Module(wasm), imports).exports as Kernel;
}

/** Memory of at least so many bytes for kernels. */
export function memoryOf(bytes: number): Memory {
  return new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE_BYTES) });
}

/** Lets memory grow to at least so many bytes. */
export function makeRoom(memory: Memory, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
}
