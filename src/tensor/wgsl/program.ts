/** WGSL's types of host-given numbers. */
export type UniformType = 'u32' | 'i32' | 'f32';

/** WGSL's types of a storage array's elements; tensors are arrays of f32 or i32, which a program may also view as u32 or as vectors. */
export type ElementType = 'f32' | 'i32' | 'u32' | 'vec2f' | 'vec4f' | 'vec2u' | 'vec4u' | 'atomic<u32>';

/**
 * A compute shader as data: what it binds, by name, and its code. `wgslOf` writes the declarations: each input is a read-only
 * array of that name, each output a writable one, uniforms are the fields of `u`.
 */
export interface Program {
  /** Everything that decides the code, as pipelines are cached by it: "rms-norm", "matmul 64x64x16 bf16". */
  readonly name: string;
  readonly inputs: Readonly<Record<string, ElementType>>;
  readonly outputs: Readonly<Record<string, ElementType>>;
  readonly uniforms?: Readonly<Record<string, UniformType>>;
  /** WGSL extensions: "f16", "subgroups". */
  readonly enable?: readonly string[];
  /** Diagnostics to turn off: "chromium.subgroup_matrix_uniformity". */
  readonly quiet?: readonly string[];
  /** Whatever follows the declarations; its entry point is `main`. Called once a device. */
  readonly code: () => string;
}

/** The program's whole shader: extensions, declarations at group 0 in the order inputs, outputs, uniforms, then its code. */
export function wgslOf({ inputs, outputs, uniforms = {}, enable = [], quiet = [], code }: Program): string {
  const arrays = [
    ...Object.entries(inputs).map(([name, type]) => `var<storage, read> ${name}: array<${type}>;`),
    ...Object.entries(outputs).map(([name, type]) => `var<storage, read_write> ${name}: array<${type}>;`),
  ];
  const fields = Object.entries(uniforms).map(([name, type]) => `${name}: ${type},`);
  const bindings = fields.length === 0 ? arrays : [...arrays, 'var<uniform> u: Uniforms;'];
  return [
    ...enable.map((extension) => `enable ${extension};`),
    ...quiet.map((rule) => `diagnostic(off, ${rule});`),
    ...(fields.length === 0 ? [] : [`struct Uniforms { ${fields.join(' ')} }`]),
    ...bindings.map((binding, index) => `@group(0) @binding(${index}) ${binding}`),
    code(),
  ].join('\n');
}
