import { availableDevices } from '../../src/tensor/index.js';

const found = await availableDevices();

/** The devices that evidence is tested on, each with the reason why it cannot be when it cannot. */
export const SUBJECTS = (['cpu', 'webgpu'] as const).map((name) => {
  const device = found.find((candidate) => candidate.name === name);
  const missing = device?.available ? undefined : `no ${name} here: ${device?.reason ?? 'not listed'}`;
  return { name, missing };
});
