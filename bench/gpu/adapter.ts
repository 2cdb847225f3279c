import type { Stage } from './stage.js';

/** What Dawn's experimental matrix units are, where there are any. */
interface MatrixUnitInfo {
  readonly subgroupMatrixConfigs?: Iterable<Readonly<Record<string, unknown>>>;
}

/** What the adapter is, and what birdbone's device on it was given. */
export const adapter: Stage = async ({ device, gpu, adapterInfo }) => {
  const { vendor, architecture, device: name, description, subgroupMinSize, subgroupMaxSize } = adapterInfo;
  const limits: Record<string, number> = {};
  // WebGPU has them as getters of the prototype.
  for (const key of Object.keys(Object.getPrototypeOf(gpu.limits) as object).sort()) {
    const value = (gpu.limits as unknown as Record<string, unknown>)[key];
    if (typeof value === 'number') limits[key] = value;
  }
  const { subgroupMatrixConfigs = [] } = adapterInfo as MatrixUnitInfo;
  return {
    description: device.description,
    info: { vendor, architecture, name, description, subgroupMinSize, subgroupMaxSize },
    matrixUnits: [...subgroupMatrixConfigs].map(({ componentType, resultComponentType, M, N, K }) => {
      return { componentType, resultComponentType, M, N, K };
    }),
    features: [...gpu.features].sort(),
    fastPaths: device.fastPaths,
    notices: device.notices,
    limits,
  };
};
