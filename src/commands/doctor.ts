import { BaseCommand } from '../cli/base-command.js';
import type { Finding } from '../cli/finding.js';
import type { MachineReport } from '../cli/machine.js';
import { EXIT_CODES } from '../errors.js';

interface Diagnosis extends MachineReport {
  readonly devices: readonly {
    readonly name: string;
    readonly available: boolean;
    readonly description: string;
    readonly reason?: string;
    readonly suggestions?: readonly string[];
    readonly software?: boolean;
  }[];
  /** The device that --device (auto by default) opens here, and what runs fast on it. */
  readonly chosen: { readonly name: string; readonly description: string; readonly fastPaths: readonly string[] };
  /** Everything that was looked at: of the machine, its devices, and the git repository of the working directory. */
  readonly findings: readonly Finding[];
}

export default class Doctor extends BaseCommand<typeof Doctor> {
  static override readonly summary = 'say what this machine and this repository can do, and what to repair';
  static override readonly description =
    `Looks at Node.js, processor, memory, disks, compute devices, git, git-lfs, hooks, hashes and DVC. Changes nothing.
Ends with exit code 6 when something that was set up does not work (fail); with 0 when it could only be better (warn).`;
  static override readonly examples = [
    { description: 'Look at this machine and this repository', command: '<%= config.bin %> doctor' },
    {
      description: 'Fail in a script where WebGPU is missing',
      command: '<%= config.bin %> doctor --device webgpu --json',
    },
  ];

  async run(): Promise<Diagnosis> {
    const { describeMachine } = await import('../cli/machine.js');
    const { deviceFindings, machineFindings } = await import('../cli/machine-findings.js');
    const { availableDevices, openDevice } = await import('../tensor/index.js');
    const { repositoryFindings } = await import('../repository/index.js');
    const machine = await describeMachine();
    const devices = await availableDevices();
    const device = await openDevice(this.flags.device, this.deviceOptions);
    const { name, description, fastPaths, notices } = device;
    await device.close();
    const groups = {
      machine: machineFindings(machine),
      devices: deviceFindings(devices, { name, fastPaths, notices }),
      repository: await repositoryFindings(process.cwd()),
    };
    this.log(render(groups));
    const findings = Object.values(groups).flat();
    if (findings.some(({ status }) => status === 'fail')) process.exitCode = EXIT_CODES.device;
    return { ...machine, devices, chosen: { name, description, fastPaths }, findings };
  }
}

function render(groups: Readonly<Record<string, readonly Finding[]>>): string {
  return Object.entries(groups)
    .map(([group, findings]) => [group, ...findings.flatMap(renderFinding)].join('\n'))
    .join('\n\n');
}

function renderFinding({ id, status, what, fix }: Finding): string[] {
  const shown = `  ${status.padEnd(8)}${id.padEnd(18)}${what}`;
  return fix === undefined || fix === '' ? [shown] : [shown, `${' '.repeat(28)}try: ${fix}`];
}
