import { BaseCommand } from '../cli/base-command.js';
import type { MachineReport } from '../cli/machine.js';
import { formatBytes } from '../cli/quantities.js';

interface Diagnosis extends MachineReport {
  readonly devices: readonly {
    readonly name: string;
    readonly available: boolean;
    readonly description: string;
    readonly reason?: string;
    readonly suggestions?: readonly string[];
    readonly software?: boolean;
  }[];
  /** The device that --device (auto by default) opens here, what runs fast on it, and what could run faster. */
  readonly chosen: { readonly name: string; readonly description: string; readonly fastPaths: readonly string[] };
  readonly advice: readonly string[];
}

export default class Doctor extends BaseCommand<typeof Doctor> {
  static override readonly summary = 'say what this machine can do, and how to make it faster';
  static override readonly description =
    'Lists the compute devices, which fast paths are live, memory and disk. Changes nothing.';
  static override readonly examples = [
    { description: 'Look at this machine', command: '<%= config.bin %> doctor' },
    {
      description: 'Fail in a script where WebGPU is missing',
      command: '<%= config.bin %> doctor --device webgpu --json',
    },
  ];

  async run(): Promise<Diagnosis> {
    const { describeMachine } = await import('../cli/machine.js');
    const { availableDevices, openDevice } = await import('../tensor/index.js');
    const machine = await describeMachine();
    const devices = await availableDevices();
    const device = await openDevice(this.flags.device, this.deviceOptions);
    const { name, description, fastPaths, notices } = device;
    await device.close();
    const advice = machine.node.supported ? [...notices] : ['Install Node.js 20.19 or newer.', ...notices];
    const diagnosis = { ...machine, devices, chosen: { name, description, fastPaths }, advice };
    this.log(render(diagnosis));
    return diagnosis;
  }
}

function render({ node, platform, cpu, memory, disk, devices, chosen, advice }: Diagnosis): string {
  const features = cpu.features.length > 0 ? ` (${cpu.features.join(' ')})` : '';
  return [
    `node     ${node.version}${node.supported ? '' : ', too old'}, ${platform}`,
    `cpu      ${cpu.model}, ${cpu.threads} threads${features}`,
    `memory   ${formatBytes(memory.freeBytes)} free of ${formatBytes(memory.totalBytes)}`,
    `disk     ${formatBytes(disk.freeBytes)} free of ${formatBytes(disk.totalBytes)} at ${disk.path}`,
    '',
    'devices',
    ...devices.flatMap(renderDevice),
    '',
    `in use   ${chosen.name}: ${chosen.description}`,
    `fast     ${chosen.fastPaths.length > 0 ? chosen.fastPaths.join(', ') : 'none'}`,
    ...advice.map((line) => `try      ${line}`),
  ].join('\n');
}

function renderDevice({
  name,
  available,
  description,
  reason,
  suggestions = [],
  software,
}: Diagnosis['devices'][number]): string[] {
  const imitated = software === true ? ' (in software: slow, used only when named)' : '';
  const state = available ? `yes  ${description}${imitated}` : `no   ${reason ?? description}`;
  return [`  ${name.padEnd(7)}${state}`, ...suggestions.map((line) => `              ${line}`)];
}
