import { setBackend } from '@tensorflow/tfjs-core';
import { BirdboneError } from '../errors.js';
import { registryOf } from '../registry.js';
import {
  DEVICE_NAMES,
  type Device,
  type DeviceBackend,
  type DeviceChoice,
  type DeviceName,
  type DeviceOptions,
  type FoundDevice,
  TFJS_BACKENDS,
} from './device.js';

const backends = registryOf<DeviceBackend>()('device', {
  webgpu: () => import('./backends/webgpu.js'),
  cuda: () => import('./backends/cuda.js'),
  cpu: () => import('./backends/cpu.js'),
} satisfies Record<DeviceName, unknown>);

/** What this machine has, in the order in which `auto` prefers it. Opens nothing. */
export async function availableDevices(): Promise<FoundDevice[]> {
  const found: FoundDevice[] = [];
  for (const name of DEVICE_NAMES) found.push(await (await backends.load(name)).find());
  return found;
}

interface OpenDevice {
  readonly device: Promise<Device>;
  users: number;
}

/** In the order in which they were last opened. */
const openDevices = new Map<DeviceName, OpenDevice>();

/**
 * Opens the device that `--device` names; `auto` takes webgpu on a hardware adapter, then cuda, then cpu. Operations run on
 * it from then on. A device that is open already is shared, with the options it was opened with, until its last user closes
 * it. Throws `device` when the named device cannot be used here, saying what can.
 */
export async function openDevice(choice: DeviceChoice, options: DeviceOptions = {}): Promise<Device> {
  const name = choice === 'auto' ? await preferredDevice() : choice;
  const opened = openDevices.get(name) ?? { device: openFound(name, options), users: 0 };
  openDevices.delete(name);
  openDevices.set(name, opened);
  opened.users += 1;
  try {
    const device = await opened.device;
    await setBackend(TFJS_BACKENDS[name]);
    return { ...device, close: closeOnce(name, opened) };
  } catch (error) {
    openDevices.delete(name);
    throw error;
  }
}

function closeOnce(name: DeviceName, opened: OpenDevice): () => Promise<void> {
  let closed = false;
  return async () => {
    if (closed) return;
    closed = true;
    opened.users -= 1;
    if (opened.users > 0) return;
    openDevices.delete(name);
    await (await opened.device).close();
    const previous = [...openDevices.keys()].at(-1);
    if (previous !== undefined) await setBackend(TFJS_BACKENDS[previous]);
  };
}

async function preferredDevice(): Promise<DeviceName> {
  for (const name of DEVICE_NAMES) {
    const found = await (await backends.load(name)).find();
    if (found.available && !found.software) return name;
  }
  throw new Error('The cpu device is always available.');
}

async function openFound(name: DeviceName, options: DeviceOptions): Promise<Device> {
  const backend = await backends.load(name);
  const found = await backend.find();
  if (found.available) return backend.open(options);
  const usable = (await availableDevices()).filter(({ available }) => available);
  throw new BirdboneError('device', `The device ${name} cannot be used here: ${found.reason}`, {
    suggestions: [
      ...(found.suggestions ?? []),
      ...usable.map(({ name: other, description }) => `Use what this machine has: --device ${other} (${description})`),
    ],
  });
}
